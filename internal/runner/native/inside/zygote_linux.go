package inside

import (
	"runtime"
	"syscall"
)

// ZygoteVariable in the environment of a child of the node, whose descriptor Socket is connected to the node, makes it a zygote.
const ZygoteVariable = "DALAMB_ZYGOTE"

// Nest is what the node asks a zygote for: a sandbox without a task.
type Nest struct {
	OwnNet bool     // a network namespace, with nothing but a loopback
	IDs    IDs      // of the command
	Relay  bool     // its function will have a kernel of its own
	Nested bool     // its command will be root of namespaces of its own
	Groups []string // directories of its v1 cgroups
	Group2 string   // directory of its v2 cgroup; "" = none
}

// Pack gives the fields in a frame's form.
func (n *Nest) Pack() *Packer {
	return new(Packer).Number(flag(n.OwnNet)).Number(n.IDs.UID).Number(n.IDs.GID).Number(n.IDs.First).Number(flag(n.Relay)).Number(flag(n.Nested)).Texts(n.Groups).Text(n.Group2)
}

func unpackNest(u *Unpacker) *Nest {
	return &Nest{OwnNet: u.Number() != 0, IDs: IDs{UID: u.Number(), GID: u.Number(), First: u.Number()}, Relay: u.Number() != 0, Nested: u.Number() != 0, Groups: u.Texts(), Group2: u.Text()}
}

// nodesOwn says whether the node that started this process is at the other end of Socket, which is nobody else's then.
func nodesOwn() bool {
	peer, err := syscall.GetsockoptUcred(Socket, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	return err == nil && int(peer.Pid) == syscall.Getppid()
}

// zygote makes inits. It is apart from the node because a clone into a new user namespace copies the page tables of who asks
// for it, and apart from the inits because it must stay outside: it has nothing to copy.
type zygote struct {
	conn *Conn
	env  []string // of every init
}

// breed is the life of a zygote, which ends with its node. The inits go on: their sockets are the node's, not the zygote's.
func breed() {
	z := &zygote{conn: NewConn(Socket)}
	syscall.CloseOnExec(Socket)
	if call(sysCloseRange, Socket+1, 0x7fffffff) != nil {
		return
	}
	// Its children are the node's to watch, and nobody's to reap. They begin with the default: Go sees to that.
	if ignore(syscall.SIGCHLD) != nil {
		return
	}
	var err error
	if z.env, err = surroundings(); err != nil {
		return
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		// Threads enter cgroups one by one. The first one must not: the memory of all is charged to where it is.
		runtime.LockOSThread()
		for z.serve() {
		}
	}()
	<-over
}

// serve makes one nest, and says whether another can be made.
func (z *zygote) serve() bool {
	kind, u, files, err := z.conn.Receive()
	if err != nil || kind != Make || len(files) != 1 {
		return false
	}
	n := unpackNest(u)
	pid, pidfd := 0, -1
	entered, err := enter(n.Groups)
	if err == nil {
		pid, pidfd, err = z.clone(n, files[0])
	}
	stuck := leave(n.Groups[:entered])
	syscall.Close(files[0])
	if err != nil {
		return z.conn.Send(NotMade, new(Packer).Text(err.Error())) == nil && stuck == nil
	}
	sent := z.conn.Send(Made, new(Packer).Number(int64(pid)), pidfd)
	syscall.Close(pidfd)
	return sent == nil && stuck == nil
}

// enter puts this thread into groups, so that what it clones is in them from the first moment. To move oneself is cheap; to move
// another process takes the kernel milliseconds once nothing was moved for a while. // cgroups(7), "tasks"
func enter(groups []string) (entered int, err error) {
	for i, dir := range groups {
		if err := writeOver(dir+"/tasks", "0"); err != nil {
			return i, &failure{"join cgroup " + dir, err}
		}
	}
	return len(groups), nil
}

// leave goes from each to the group above it, which is the node's too. Who cannot leave must end, that the group can be removed.
func leave(groups []string) error {
	for _, dir := range groups {
		if err := writeOver(dir+"/../tasks", "0"); err != nil {
			return err
		}
	}
	return nil
}

// clone starts an init in namespaces of its own.
func (z *zygote) clone(n *Nest, sock int) (pid, pidfd int, err error) {
	attr := &syscall.ProcAttr{
		Dir: "/", Env: append(n.modes(), z.env...),
		Files: []uintptr{0, 1, 2, uintptr(sock)},
		Sys:   attributes(n),
	}
	attr.Sys.PidFD = &pidfd
	if n.Group2 != "" {
		fd, err := syscall.Open(n.Group2, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return 0, -1, &failure{"open cgroup " + n.Group2, err}
		}
		defer syscall.Close(fd)
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	}
	pid, err = syscall.ForkExec("/proc/self/exe", []string{"dalamb-init"}, attr)
	if err != nil {
		return 0, -1, &failure{"make namespaces", err}
	}
	return pid, pidfd, nil
}

// modes are the variables that make an init, the one that it shall be.
func (n *Nest) modes() []string {
	mode := Variable + "=host"
	if n.OwnNet {
		mode = Variable + "=net"
	}
	if n.Relay {
		// It takes memory for what it carries, and so has to give some back: of two of a name, Go's runtime takes the first.
		return []string{mode, relayVariable + "=1", "GOGC=100"}
	}
	if n.Nested {
		return []string{mode, nestedVariable + "=1"}
	}
	return []string{mode}
}

// surroundings are those variables of an init that tell what it is outside of: where and who the caller is.
func surroundings() ([]string, error) {
	env := []string{"GOMAXPROCS=1", "GOGC=off"}
	for _, name := range namespaceNames() {
		id, err := namespace(name)
		if err != nil {
			return nil, err
		}
		env = append(env, outsidePrefix+name+"="+id)
	}
	if syscall.Geteuid() != 0 {
		env = append(env, hostVariable+"=kept")
	}
	return env, nil
}

// Env is the environment that makes this program the init of n, when it is started in namespaces that the caller is not in.
func (n *Nest) Env() ([]string, error) {
	env, err := surroundings()
	return append(n.modes(), env...), err
}

// attributes are the namespaces and users of a nest.
func attributes(n *Nest) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
	}
	if n.OwnNet {
		a.Cloneflags |= syscall.CLONE_NEWNET
	}
	n.IDs.mapTo(a)
	return a
}
