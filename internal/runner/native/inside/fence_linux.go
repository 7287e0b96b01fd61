package inside

import "syscall"

// beginFence does what of the fence needs no task and takes nothing that the init still needs for it.
func beginFence() error {
	return all([]step{
		{"limit resources", limitResources},
		{"ignore signals", ignoreSignals},
		{"clear ambient capabilities", clearAmbient},
		{"drop capabilities", dropCapabilities},
		{"set no_new_privs", func() error { return call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1) }},
	})
}

// fenceThread gives up on this thread, and so in what it starts, every way to more rights. The other threads keep theirs: an
// init has to signal and to reap.
func fenceThread(t *Task) error {
	return all(append([]step{
		{"enter a cgroup namespace", func() error { return syscall.Unshare(cloneNewCgroup) }},
		{"limit processes", func() error {
			if t.PIDs == 0 {
				return nil
			}
			return lowerLimit(rlimitNProc, uint64(t.PIDs))
		}},
	}, fence(t)...))
}

// fence is what of it every kernel can put up.
func fence(t *Task) []step {
	return []step{
		{"limit open files", func() error {
			if t.Files == 0 {
				return nil
			}
			return lowerLimit(syscall.RLIMIT_NOFILE, uint64(t.Files))
		}},
		{"give up capabilities", func() error {
			if t.Switch || t.Nested > 0 {
				return nil // they go with the change of user, or into other namespaces, which needs some
			}
			if err := setGroups(t); err != nil {
				return err
			}
			return noCapabilities()
		}},
		{"set the seccomp filter", func() error { return setFilter(t.Filter) }},
	}
}

// limitResources bounds what the kernel counts over all namespaces that a user has made, so that one function cannot use it
// up for the others. Core dumps could be as large as its memory, and a program of the host may take them: a limit of 1 byte is the
// kernel's sign that nobody shall, where 0 forbids files alone. // core(5); fs/coredump.c
func limitResources() error {
	for which, n := range map[int]uint64{syscall.RLIMIT_CORE: 1, rlimitSigPending: 4096, rlimitMemLock: 64 << 10} {
		if err := lowerLimit(which, n); err != nil {
			return err
		}
	}
	return nil
}

func lowerLimit(which int, n uint64) error {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(which, &now); err != nil {
		return err
	}
	n = min(n, now.Max)
	return syscall.Setrlimit(which, &syscall.Rlimit{Cur: n, Max: n})
}

// limitNamespace does the same for what has no rlimit. It writes to this sandbox's own /proc, while it can be written to.
func limitNamespace() error {
	for name, n := range map[string]string{"max_user_namespaces": userNamespaces(), "max_inotify_instances": "16", "max_inotify_watches": "16384"} {
		if err := writeOver("proc/sys/user/"+name, n); err != nil && err != syscall.ENOENT {
			return &failure{name, err}
		}
	}
	return nil
}

func clearAmbient() error { return call(syscall.SYS_PRCTL, prCapAmbient, ambientClearAll) }

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
