package inside

import "syscall"

// nestedVariable in the environment of an init says that its command will be root of namespaces of its own.
const nestedVariable = "DALAMB_NESTED"

func nested() bool {
	_, is := syscall.Getenv(nestedVariable)
	return is
}

// userNamespaces is how many may be made in this sandbox, and in those that are made in it: none, or the one of a nested command.
func userNamespaces() string {
	if nested() {
		return "1"
	}
	return "0"
}

// nest gives a command a user namespace and a mount namespace below the sandbox's. What the init has mounted is locked in there: it can
// neither be taken away nor made writable, and what is below it cannot be seen. The network, the processes' numbers and the
// cgroups stay the sandbox's, whose init it has no rights over. // mount_namespaces(7), user_namespaces(7)
func nest(t *Task, a *syscall.SysProcAttr) {
	a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
	a.UidMappings = []syscall.SysProcIDMap{{HostID: int(t.UID), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{HostID: int(t.GID), Size: 1}}
	if t.Nested > 1 {
		a.UidMappings = []syscall.SysProcIDMap{{Size: int(t.Nested)}}
		a.GidMappings, a.GidMappingsEnableSetgroups = a.UidMappings, true
	}
	a.Credential = &syscall.Credential{}
}

// makeSys makes the directory that programs expect which make containers. There is nothing in it.
func makeSys() error {
	if !nested() {
		return nil
	}
	return makeDirs("sys")
}
