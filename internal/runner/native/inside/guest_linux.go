package inside

import "syscall"

// guestVariable in the environment of a process 1 makes it the guest: the init of a sandbox that has a kernel of its own, at the other
// end of a relay's bridge, which its input and output are.
const guestVariable = "DALAMB_GUEST"

// GuestEnv is the environment that makes this program a guest, where it is process 1.
func GuestEnv() []string { return []string{guestVariable + "=1", "GOMAXPROCS=1"} }

// accepted is the guest's to say, with a number and a stream: the function has connected to one of the listeners.
const accepted Kind = 'a'

// The listeners.
const (
	theListener = iota
	theCalls
)

// pidsDir is where the guest's kernel limits processes, before the root is changed; the relay has made it.
const pidsDir = "/pids"

// guest is the life of one.
func guest() {
	b, err := newBridge(0, 1, 2)
	if err != nil {
		syscall.Exit(1)
	}
	s := &sandbox{to: b, tun: -1, guest: b}
	_ = b.run(func(k Kind, u *Unpacker, streams []*stream) {
		switch k {
		case Start:
			s.welcome(unpackTask(u), streams)
		case Begin:
			if !s.begin() {
				s.exit()
			}
		case Join:
			number, command := u.Number(), u.Texts()
			if fds, err := s.openOutputs(streams); err == nil {
				s.join(number, command, fds)
			}
		case Dial:
			go s.dial(u.Number(), int(u.Number()))
		case Signal:
			s.kin.signal(syscall.Signal(u.Number()))
		}
	})
	syscall.Exit(0) // the relay is gone
}

// welcome starts the command and says so. Who the guest is, is the runtime's to say, so the command changes its user whoever that shall be.
func (s *sandbox) welcome(t *Task, streams []*stream) {
	listener, calls := -1, -1
	s.task, t.Switch = t, true
	err := all([]step{
		{"hide the init", func() error { return call(syscall.SYS_PRCTL, prSetDumpable, 0) }},
		{"limit processes", func() error { return limitTasks(t.PIDs) }},
		{"make the root", func() error { return makeOwnRoot(t) }},
		{"name the host", func() error { return syscall.Sethostname([]byte(t.Function)) }},
		{"listen", func() (err error) {
			if t.Listen != 0 {
				listener, err = listen(loopback(int(t.Listen)))
			}
			return err
		}},
		{"listen for calls", func() (err error) {
			calls, err = t.listenForCalls()
			return err
		}},
		{"ignore signals", ignoreSignals},
		{"clear ambient capabilities", clearAmbient},
		{"give no capabilities on", inheritNothing},
		{"drop capabilities", dropCapabilities},
		{"set no_new_privs", func() error { return call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1) }},
		{"fence", func() error { return all(fence(t)) }},
	})
	if err == nil {
		s.files, err = s.openOutputs(streams)
	}
	if err != nil {
		s.send(Failed, new(Packer).Text("in the sandbox's own kernel: "+err.Error()))
		s.exit()
	}
	if listener >= 0 {
		go s.acceptAll(listener, theListener)
	}
	if calls >= 0 {
		go s.acceptAll(calls, theCalls)
	}
	if !t.Hold && !s.begin() {
		s.exit()
	}
	s.send(Started, nil)
}

// openOutputs opens a command's three files, which are the command's own so that it can open /dev/stdout as well as write to it.
func (s *sandbox) openOutputs(streams []*stream) ([]int, error) {
	fds, err := s.guest.openAll(streams)
	if err == nil && len(fds) != 3 {
		err = errFrame
	}
	for _, fd := range fds {
		if err == nil {
			err = syscall.Fchown(fd, int(s.task.UID), int(s.task.GID))
		}
	}
	return fds, err
}

// limitTasks limits what this thread starts from now on, by a cgroup where the kernel lets the guest have one: RLIMIT_NPROC is not every
// kernel's to enforce.
func limitTasks(most int64) error {
	if most == 0 {
		return nil
	}
	if syscall.Mount("pids", pidsDir, "cgroup", 0, "pids") != nil {
		return lowerLimit(rlimitNProc, uint64(most))
	}
	return all([]step{
		{"make a cgroup", func() error { return syscall.Mkdir(pidsDir+"/function", 0o755) }},
		{"limit it", func() error { return writeOver(pidsDir+"/function/pids.max", decimal(most+1)) }}, // this thread is in it
		{"enter it", func() error { return writeOver(pidsDir+"/function/tasks", decimal(int64(syscall.Gettid()))) }},
	})
}

// makeOwnRoot adds to the root that the relay has made what is of this kernel, and leaves all else.
func makeOwnRoot(t *Task) error {
	size, shm := atMost(t.Tmp), atMost(min(t.Tmp, 64<<20))
	steps := []step{
		{"make it a mount", func() error { return syscall.Mount(guestRoot, guestRoot, "", syscall.MS_BIND|syscall.MS_REC, "") }},
		{"enter it", func() error { return syscall.Chdir(guestRoot) }},
		{"mount /proc", func() error { return syscall.Mount("proc", "proc", "proc", procFlags, "") }},
		{"mask /proc", maskProc},
		{"mount /dev", func() error {
			return syscall.Mount("dev", "dev", "tmpfs", syscall.MS_NOSUID|syscall.MS_NOEXEC, "mode=755,size=64k")
		}},
		{"make /dev", makeDevices},
		{"mount /dev/shm", func() error { return syscall.Mount("shm", "dev/shm", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, shm) }},
		{"mount /tmp", func() error { return syscall.Mount("tmp", "tmp", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, size) }},
		{"write secrets", func() error { return showSecrets(t) }},
	}
	return all(append(append(steps, changeRoot()...), step{"make the root read-only", func() error {
		return syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
	}}))
}

// makeDevices makes what makeDev does, of what the runtime has put into /dev.
func makeDevices() error {
	for _, d := range devices() {
		if err := writeFile("dev/"+d, ""); err != nil {
			return &failure{d, err}
		}
		if err := syscall.Mount("/dev/"+d, "dev/"+d, "", syscall.MS_BIND, ""); err != nil {
			return &failure{d, err}
		}
	}
	if err := makeDirs("dev/shm"); err != nil {
		return err
	}
	return linkDevices()
}

// acceptAll hands out what the function connects to a listener.
func (s *sandbox) acceptAll(listener int, which int64) {
	for {
		s.guest.awaitRoom()
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
		if err == syscall.EBADF || err == syscall.EINVAL {
			return
		}
		if err == nil {
			s.send(accepted, new(Packer).Number(which), fd)
			syscall.Close(fd)
		}
	}
}

// outlast ends what the command has left, and waits until all that was printed is on its way.
func (s *sandbox) outlast() {
	_ = syscall.Kill(-1, syscall.SIGKILL) // nobody there is what we want
	s.guest.awaitOutput()
}

// exit ends the sandbox, when what was said is heard.
func (s *sandbox) exit() {
	if s.guest != nil {
		s.guest.flush()
	}
	syscall.Exit(0)
}
