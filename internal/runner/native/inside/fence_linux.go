package inside

import "syscall"

// fenceThread gives up on this thread, and so in what it starts, every way to more rights. The other threads keep theirs: an
// init has to signal and to reap.
func fenceThread(t *Task) error {
	return all([]step{
		{"enter a cgroup namespace", func() error { return syscall.Unshare(cloneNewCgroup) }},
		{"forbid core dumps", func() error { return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }},
		{"limit processes", func() error {
			if t.PIDs == 0 {
				return nil
			}
			return syscall.Setrlimit(rlimitNProc, &syscall.Rlimit{Cur: uint64(t.PIDs), Max: uint64(t.PIDs)})
		}},
		{"clear ambient capabilities", func() error { return call(syscall.SYS_PRCTL, prCapAmbient, ambientClearAll) }},
		{"drop capabilities", dropCapabilities},
		{"give up capabilities", func() error {
			if t.Switch {
				return nil // they go with the change of user, which needs some
			}
			return noCapabilities()
		}},
		{"set no_new_privs", func() error { return call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1) }},
		{"set the seccomp filter", func() error { return setFilter(t.Filter) }},
	})
}

// dropCapabilities empties the bounding set: no exec can give what is not in it. // capabilities(7)
func dropCapabilities() error {
	for c := uintptr(0); ; c++ {
		err := call(syscall.SYS_PRCTL, prCapBsetDrop, c)
		if err == syscall.EINVAL && c > 0 {
			return nil // beyond the last that this kernel has
		}
		if err != nil {
			return err
		}
	}
}

// ignoreSignals makes the init deaf to what a function of the same user may send it; without a handler the kernel keeps the
// rest from a process 1. It comes after the command's start, which would inherit it. SIGCHLD stays as it is, since ignored it
// leaves nothing to reap, and so does SIGURG, with which Go's runtime interrupts itself. // pid_namespaces(7)
func ignoreSignals() {
	const last = 31 // of those that are not real-time, which Go's runtime takes no notice of
	for sig := syscall.Signal(1); sig <= last; sig++ {
		switch sig {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG:
		default:
			_ = ignore(sig) // a function that kills its own init harms itself alone
		}
	}
}
