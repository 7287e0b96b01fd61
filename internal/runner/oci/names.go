package oci

// Prefix and the name of a runtime make the name of its runner.
const Prefix = "oci:"

// Runtimes are those that can be used. Containers of the last two have kernels of their own.
func Runtimes() []string { return []string{"crun", "runc", "runsc", "kata-runtime"} }
