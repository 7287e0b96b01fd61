package inside

import "syscall"

// outsidePrefix and the name of a kind of namespace make the variable that tells an init which one its zygote is in.
const outsidePrefix = "DALAMB_OUTSIDE_"

// namespaceNames are the kinds without which what an init does to its surroundings would be done to the host. // namespaces(7)
func namespaceNames() []string { return []string{"mnt", "pid", "user"} }

// namespace identifies the one of a kind that this process is in.
func namespace(name string) (string, error) {
	var id [64]byte
	n, err := syscall.Readlink("/proc/self/ns/"+name, id[:])
	return string(id[:n]), err
}

// apart refuses when this process is not known to be in namespaces of its own.
func apart() error {
	for _, name := range namespaceNames() {
		own, err := namespace(name)
		if err != nil {
			return &failure{"find " + name + " namespace", err}
		}
		if outside, told := syscall.Getenv(outsidePrefix + name); !told || outside == own {
			return &failure{"leave the host's " + name + " namespace", syscall.EPERM}
		}
	}
	return nil
}
