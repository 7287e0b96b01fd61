package oci

// Prefix and the name of a runtime make the name of its runner.
const Prefix = "oci:"

// Runtimes are those that can be used: a runtime has to share the host's kernel with its sandboxes and to pass descriptors on to them.
func Runtimes() []string { return []string{"crun", "runc"} }
