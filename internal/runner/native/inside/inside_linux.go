// Package inside is the init of a sandbox: process 1 of its namespaces, which builds the sandbox's root, starts the function
// behind the fence and reaps what dies; and the zygote, the small process that makes the inits. Neither decides anything; the
// node tells them what to do, over sockets.
//
// They are this same program, started again with a variable in its environment, and they take over while packages are being
// initialised, before the large ones: a program of its own would have to be carried along, and starting this one whole takes
// about twice as long (measured with the project's dependencies linked in: 4.8 ms against 2.7 ms, of which 0.5 ms are packages
// before this one). Go initialises the packages that are ready in the order of their paths, so this one imports package syscall
// and nothing else.
package inside

import (
	"sync"
	"syscall"
)

const (
	// Variable in the environment of a process 1 makes it an init. Its value is "net" when the network is the sandbox's own.
	Variable = "DALAMB_INIT"
	// Socket is the init's or the zygote's end of the socket to its node.
	Socket = 3
)

// init is the one exception to the rule against init functions: see the package comment.
func init() {
	if mode, is := syscall.Getenv(Variable); is && syscall.Getpid() == 1 {
		live(mode == "net")
		syscall.Exit(0)
	}
	if _, is := syscall.Getenv(guestVariable); is && syscall.Getpid() == 1 {
		guest()
	}
	if _, is := syscall.Getenv(ZygoteVariable); is && nodesOwn() {
		breed()
		syscall.Exit(0)
	}
}

// sandbox is the init's view of it.
type sandbox struct {
	to       sender
	guest    *bridge // of a guest: see there
	ownNet   bool
	keptHost bool // see hostDir
	tun      int  // the device, opened while it could be seen; -1 = not to be had
	task     *Task
	files    []int      // of the command
	sending  sync.Mutex // held while a frame is written
	kin      kin
}

// sender is who an init speaks to: its node, or a relay's bridge.
type sender interface {
	Send(k Kind, p *Packer, files ...int) error
}

func (s *sandbox) send(k Kind, p *Packer, files ...int) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.to.Send(k, p, files...) != nil {
		syscall.Exit(1) // without a node there is no sandbox
	}
}

// live is the life of an init. All that is in the sandbox ends with it.
func live(ownNet bool) {
	node := NewConn(Socket)
	s := &sandbox{to: node, ownNet: ownNet, tun: -1}
	syscall.CloseOnExec(Socket)
	// What the node itself inherited, from a shell for instance, is no business of the function's.
	if err := call(sysCloseRange, Socket+1, 0x7fffffff); err != nil {
		s.send(Failed, new(Packer).Text("close inherited files: "+err.Error()))
		return
	}
	_, outside := syscall.Getenv(relayVariable)
	if err := s.prepare(outside); err != nil {
		s.send(Failed, new(Packer).Text(err.Error()))
		return
	}
	s.send(Ready, nil)
	kind, u, files, err := node.Receive()
	if err != nil || kind != Start || len(files) < 3 {
		return
	}
	if outside {
		r := &relay{sandbox: s, words: make(chan string, 1)}
		r.live(node, unpackTask(u), files)
		return
	}
	if !s.start(unpackTask(u), files) {
		return
	}
	for {
		kind, u, files, err := node.Receive()
		if err != nil {
			return // the node is gone, or wants us to be
		}
		switch kind {
		case Begin:
			if !s.begin() {
				return
			}
		case Join:
			s.join(u.Number(), u.Texts(), files)
		case Dial:
			go s.dial(u.Number(), int(u.Number()))
		case Signal:
			s.kin.signal(syscall.Signal(u.Number()))
		}
	}
}

// prepare does what needs no task, so that a sandbox can wait for one.
func (s *sandbox) prepare(outside bool) error {
	// Nobody inside may look into this process, whatever its user is.
	err := call(syscall.SYS_PRCTL, prSetDumpable, 0)
	if err != nil {
		return &failure{"hide the init", err}
	}
	syscall.Umask(0o022)
	if s.ownNet {
		if err := raiseLoopback(); err != nil {
			return &failure{"raise the loopback", err}
		}
		openPorts()
		s.tun, _ = OpenTUN() // who needs it will miss it
	}
	if outside {
		return prepareRelay()
	}
	_, s.keptHost = syscall.Getenv(hostVariable)
	if err := prepareRoot(s.keptHost); err != nil {
		return err
	}
	return beginFence()
}

// start starts the command and says so.
func (s *sandbox) start(t *Task, files []int) bool {
	listener, calls, codeMount, more := -1, -1, -1, files[3:]
	if t.CodeMount && len(more) > 0 {
		codeMount, more = more[0], more[1:]
	}
	if t.EgressGiven && len(more) > 0 {
		syscall.Close(s.tun)
		s.tun, more = more[0], more[1:]
	}
	err := all([]step{
		{"make the way out", func() error {
			if !t.Egress {
				return nil
			}
			return raiseTUN(s.tun)
		}},
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
		{"make the root", func() error {
			switch {
			case len(t.Layers) > 0:
				return makeLayeredRoot(t, more)
			case t.prepared():
				return nil
			}
			return makeBareRoot()
		}},
		{"show directories", func() error { return showMounts(t, more) }},
		{"finish the root", func() error { return finishRoot(t, codeMount, s.keptHost) }},
		{"fence", func() error { return fenceThread(t) }},
	})
	if err != nil {
		s.send(Failed, new(Packer).Text(err.Error()))
		return false
	}
	if listener >= 0 {
		s.send(Listening, nil, listener)
		syscall.Close(listener)
	}
	if calls >= 0 {
		s.send(Calling, nil, calls)
		syscall.Close(calls)
	}
	if t.Egress {
		s.send(Linked, nil, s.tun)
	}
	if !t.EgressGiven {
		syscall.Close(s.tun)
	}
	for _, fd := range files[3:] {
		syscall.Close(fd)
	}
	s.task, s.files = t, files[:3]
	if t.Hold {
		s.send(Started, nil)
		return true
	}
	if !s.begin() {
		return false
	}
	s.send(Started, nil)
	return true
}

// begin starts the command.
func (s *sandbox) begin() bool {
	if err := findDir(s.task.WorkDir); err != nil {
		return s.notStarted(err, true)
	}
	if err := s.kin.start(s, s.task, s.files, theCommand); err != nil {
		return s.notStarted(err, false)
	}
	return true
}

// notStarted says why the command, or the directory that it shall run in, cannot be had.
func (s *sandbox) notStarted(err error, dir bool) (started bool) {
	errno, _ := err.(syscall.Errno)
	s.send(NotStarted, new(Packer).Number(int64(errno)).Number(flag(dir)))
	return false
}

// ended tells how the command ended, and ends the sandbox.
func (s *sandbox) ended(status syscall.WaitStatus, usage *syscall.Rusage) {
	if s.guest != nil {
		s.outlast()
	}
	_, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	alone := err == syscall.ECHILD // all that lives in a pid namespace descends from its process 1
	s.send(Ended, new(Packer).Number(int64(status)).Number(usage.Utime.Nano()+usage.Stime.Nano()).Number(usage.Maxrss).Number(flag(alone)))
	s.exit()
}

func (s *sandbox) dial(id int64, port int) {
	fd, err := dial(loopback(port))
	if err != nil {
		errno, _ := err.(syscall.Errno)
		s.send(Dialled, new(Packer).Number(id).Number(int64(errno)))
		return
	}
	s.send(Dialled, new(Packer).Number(id).Number(0), fd)
	syscall.Close(fd)
}
