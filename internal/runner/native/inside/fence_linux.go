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
		{"ignore signals", ignoreSignals},
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

// ignoreSignals makes the init deaf to what a function of the same user may send it. Real-time signals need no such care, Go's
// runtime takes no notice of them. The command does not inherit it: Go gives to a child their default back of all signals that
// it once put a handler on. // pid_namespaces(7)
func ignoreSignals() error {
	const last = 31
	for sig := syscall.Signal(1); sig <= last; sig++ {
		if keptFrom(sig) {
			continue
		}
		if err := ignore(sig); err != nil {
			return err
		}
	}
	return nil
}

// keptFrom says whether a signal must not or need not be ignored.
func keptFrom(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH:
		return true // without a handler, and so kept from a process 1 by the kernel
	case syscall.SIGCHLD:
		return true // ignored, it would leave nothing to reap
	case syscall.SIGURG:
		return true // with it Go's runtime interrupts itself
	}
	return false
}
