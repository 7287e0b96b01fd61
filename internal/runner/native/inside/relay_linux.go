package inside

import "syscall"

// Where a relay puts together what it gives to its runtime. The runtime sees the host as the relay does, but for this directory.
const (
	relayDir    = "/run/dalamb-relay"
	guestRoot   = "/root" // the function's root, as the container sees it
	relayBinary = relayDir + "/runtime"

	// BundleDir is the bundle of the container.
	BundleDir = relayDir + "/bundle"
	// ContainerRoot is what the container sees: the function's root, and places for what its kernel shows.
	ContainerRoot = BundleDir + "/top"
	// RuntimeDir is for the runtime's own state.
	RuntimeDir = relayDir + "/state"
	// GuestInit is what the container runs: this program.
	GuestInit = "/init"
)

// relayVariable in the environment of an init says that its functions have a kernel of their own. The init then stays outside of it: it
// starts the runtime that makes that kernel, and carries what the node and the init in there, the guest, have to say to each other.
// What is left when one of them ends is the host's to take away, as of every sandbox: it all lives in the relay's namespaces.
const relayVariable = "DALAMB_RELAY"

// lastWords is how much is kept of what a runtime says when it fails.
const lastWords = 600

// relay is what an init is that has a runtime between itself and the function.
type relay struct {
	*sandbox
	bridge *bridge
	listen []place     // the node's, in the order of the guest's; one with port 0 is none
	end    *Packer     // of the guest's last frame; nil until it came
	words  chan string // what the runtime said, when it has ended
}

// prepareRelay does what needs no task.
func prepareRelay() error {
	return all([]step{
		{"touch no mounts but its own", apart},
		{"part from the host's mounts", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, "") }},
		{"mount /proc", func() error { return syscall.Mount("proc", "/proc", "proc", procFlags, "") }},
		{"mount a place to work", func() error {
			// A runtime may want to leave something there itself.
			return syscall.Mount("relay", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755,size=16m")
		}},
		{"make a directory", func() error { return makeDirs(relayDir) }},
		{"enter it", func() error { return syscall.Chdir(relayDir) }},
		{"ignore signals", ignoreSignals},
		{"set no_new_privs", func() error { return call(syscall.SYS_PRCTL, prSetNoNewPrivs, 1) }},
	})
}

// live starts the runtime with a task and carries until either side ends.
func (r *relay) live(node *Conn, t *Task, files []int) {
	if err := r.start(t, files); err != nil {
		r.send(Failed, new(Packer).Text(err.Error()))
		return
	}
	go r.obey(node)
	err := r.bridge.run(r.pass)
	if r.end != nil {
		r.send(Ended, r.end)
		return
	}
	// The guest ends with its kernel; so does the relay, with what the runtime has to say about it.
	r.send(Failed, new(Packer).Text("the runtime ended: "+<-r.words+" ("+err.Error()+")"))
}

func (r *relay) start(t *Task, files []int) error {
	more := files[3:]
	take := func(there bool) int {
		if !there || len(more) == 0 {
			return -1
		}
		fd := more[0]
		more = more[1:]
		return fd
	}
	code, tun, program, runtime := take(t.CodeMount), take(t.EgressGiven), take(true), take(true)
	listener, calls := -1, -1
	err := all([]step{
		{"make the way out", func() error {
			if !t.Egress {
				return nil
			}
			return raiseTUN(tun)
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
		{"make the root", func() error { return makeGuestRoot(t, code, more) }},
		{"show the init", func() error { return showMount(program, ContainerRoot+GuestInit) }},
		{"show the init its libraries", showLibraries}, // it has some where it was built with cgo
		{"show the runtime", func() error { return showMount(runtime, relayBinary) }},
		{"write the bundle", func() error { return writeFile(BundleDir+"/config.json", t.Bundle) }},
		{"start the runtime", func() error { return r.startRuntime(t) }},
	})
	if err != nil {
		return err
	}
	r.listen = []place{theListener: loopback(int(t.Listen)), theCalls: {}}
	if listener >= 0 {
		r.send(Listening, nil, listener)
		syscall.Close(listener)
	}
	if calls >= 0 {
		r.listen[theCalls] = callsPlace()
		r.send(Calling, nil, calls)
		syscall.Close(calls)
	}
	if t.Egress {
		r.send(Linked, nil, tun)
	}
	err = r.bridge.Send(Start, t.Pack(), files[:3]...)
	for _, fd := range files {
		syscall.Close(fd)
	}
	return err
}

func showLibraries() error {
	return all([]step{
		{"enter the top", func() error { return syscall.Chdir(ContainerRoot) }},
		{"show the host's programs", showPrograms},
		{"leave the top", func() error { return syscall.Chdir(relayDir) }},
	})
}

// showMount shows a file that came as a mount.
func showMount(fd int, at string) error {
	if err := writeFile(at, ""); err != nil {
		return err
	}
	return moveMount(fd, at)
}

// makeGuestRoot makes what the container sees.
func makeGuestRoot(t *Task, code int, layers []int) error {
	root := ContainerRoot + guestRoot
	make := []step{
		{"make directories", makeOwnDirs},
		{"show layers in /opt", showOpt},
		{"make /etc", makeEtc},
	}
	switch {
	case len(t.Layers) > 0:
		make = append(overlay(t, layers, root), step{"enter the image", func() error { return syscall.Chdir(root) }})
	case t.Base == "host":
		make = append(make, step{"show the host's programs", showHost})
		fallthrough
	default:
		make = append([]step{{"enter the root", func() error { return syscall.Chdir(root) }}}, make...)
	}
	before := []step{
		{"make places", func() error {
			return makeDirs(BundleDir, RuntimeDir, ContainerRoot, ContainerRoot+"/proc", ContainerRoot+"/sys", ContainerRoot+"/dev", ContainerRoot+"/tmp", ContainerRoot+pidsDir, root)
		}},
	}
	after := []step{
		{"show the code in " + t.CodeDir, func() error { return showCode(t, code) }},
		{"make a place for secrets", func() error {
			if len(t.SecretNames) == 0 || len(t.Layers) > 0 {
				return nil
			}
			return makeDirs("run", secretsDir)
		}},
		{"write /etc/resolv.conf", func() error {
			if t.Resolv == "" || len(t.Layers) > 0 {
				return nil
			}
			return writeFile("etc/resolv.conf", t.Resolv)
		}},
		{"write /etc/hosts", t.nameCalls},
		{"leave the root", func() error { return syscall.Chdir(relayDir) }},
	}
	return all(append(append(before, make...), after...))
}

// startRuntime starts it with the ends of a bridge as its container's input and output.
func (r *relay) startRuntime(t *Task) error {
	var in, out, said [2]int
	for _, p := range []*[2]int{&in, &out, &said} {
		if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
			return err
		}
	}
	_, err := syscall.ForkExec(relayBinary, t.Runtime, &syscall.ProcAttr{
		Dir: relayDir, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Files: []uintptr{uintptr(in[0]), uintptr(out[1]), uintptr(said[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	for _, fd := range []int{in[0], out[1], said[1]} {
		syscall.Close(fd)
	}
	if err != nil {
		return err
	}
	go reapAll()
	go r.listenTo(said[0])
	r.bridge, err = newBridge(out[0], in[1], 1)
	return err
}

// reapAll collects what dies, for as long as anything lives.
func reapAll() {
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err == syscall.ECHILD {
			return
		}
	}
}

// listenTo keeps the last of what a runtime says until it has ended.
func (r *relay) listenTo(fd int) {
	var all []byte
	chunk := make([]byte, lastWords)
	for {
		var n int
		err := Again(func() (err error) {
			n, err = syscall.Read(fd, chunk)
			return err
		})
		if err != nil || n == 0 {
			break
		}
		all = append(all, chunk[:n]...)
		all = all[max(0, len(all)-lastWords):]
	}
	for len(all) > 0 && all[len(all)-1] == '\n' {
		all = all[:len(all)-1]
	}
	if len(all) == 0 {
		all = []byte("it does not say why")
	}
	r.words <- string(all)
}

// obey hands on what the node says.
func (r *relay) obey(node *Conn) {
	for {
		kind, u, files, err := node.Receive()
		if err == nil {
			err = r.bridge.Send(kind, &Packer{u.b}, files...)
		}
		if err != nil {
			syscall.Exit(1) // the node is gone, or wants us to be
		}
		for _, fd := range files {
			syscall.Close(fd)
		}
	}
}

// pass hands on what the guest says, if it is something that a guest may say.
func (r *relay) pass(k Kind, u *Unpacker, streams []*stream) {
	switch {
	case k == accepted && len(streams) == 1:
		go r.connect(u.Number(), streams[0])
		return
	case k == Dialled && len(streams) == 1:
		r.handOver(u, streams[0])
		return
	}
	for _, s := range streams {
		r.bridge.abandon(s)
	}
	switch k {
	case Started, NotStarted, Failed, Left, Dialled:
		r.send(k, &Packer{u.b})
	case Ended:
		r.end = new(Packer).Number(u.Number()).Number(u.Number()).Number(u.Number()).Number(flag(false)) // the runtime lives
		r.bridge.finish()
	}
}

// connect leads a connection of the function to a listener of the node's.
func (r *relay) connect(which int64, s *stream) {
	if which < 0 || which >= int64(len(r.listen)) || r.listen[which].port == 0 {
		r.bridge.abandon(s)
		return
	}
	fd, err := dial(r.listen[which])
	if err != nil {
		r.bridge.abandon(s)
		return
	}
	r.bridge.attach(s, fd)
}

// handOver gives the node a connection to the function.
func (r *relay) handOver(u *Unpacker, s *stream) {
	fd, err := r.bridge.open(s)
	if err != nil {
		errno, _ := err.(syscall.Errno)
		r.send(Dialled, new(Packer).Number(u.Number()).Number(int64(errno)))
		return
	}
	r.send(Dialled, &Packer{u.b}, fd)
	syscall.Close(fd)
}
