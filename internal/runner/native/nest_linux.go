package native

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"golang.org/x/sys/unix"
)

// Users of the sandbox, as it sees them and as the host does. Root on the host maps two, so that a function cannot even signal
// its init; an ordinary user has only its own to map, and the function and its init share it.
const (
	insideInit, insideFunction = 0, 1000
	hostInit, hostFunction     = 65533, 65534 // nobody: no file of the host is theirs
)

// nest is a sandbox that waits for a task: its namespaces and its init.
type nest struct {
	cmd   *exec.Cmd
	group *group
	conn  *inside.Conn
	sock  *os.File

	sending sync.Mutex // held while a frame is written
}

// serial names the cgroups of one runner, unlike those of an earlier node that had the same pid.
type serial struct {
	token string
	n     atomic.Int64
}

func newSerial() *serial { return &serial{token: strings.ToLower(rand.Text())[:10] + "-"} }

func (s *serial) next() string { return s.token + strconv.FormatInt(s.n.Add(1), 10) }

func (s *serial) made(name string) bool { return strings.HasPrefix(name, s.token) }

// nest makes one. With ownNet it has a network namespace, with nothing but a loopback.
func (r *Runner) nest(ownNet bool) (*nest, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "node's end"), os.NewFile(uintptr(fds[1]), "init's end")
	defer theirs.Close()
	n := &nest{sock: ours, conn: inside.NewConn(fds[0])}
	n.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"dalamb-init"}, Dir: "/",
		// One thread of Go code and no collection: an init does little, and its threads count against the function's.
		Env:         []string{inside.Variable + "=" + map[bool]string{true: "net", false: "host"}[ownNet], "GOMAXPROCS=1", "GOGC=off"},
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: r.attributes(ownNet),
	}
	if err := n.cmd.Start(); err != nil {
		ours.Close()
		return nil, fault.New(fault.Unavailable, "make namespaces: %w", err)
	}
	if err := n.settle(r.groups(), r.serial.next()); err != nil {
		return nil, errors.Join(err, n.destroy())
	}
	return n, nil
}

func (r *Runner) attributes(ownNet bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	if ownNet {
		a.Cloneflags |= unix.CLONE_NEWNET
	}
	if r.root {
		ids := []syscall.SysProcIDMap{{ContainerID: insideInit, HostID: hostInit, Size: 1}, {ContainerID: insideFunction, HostID: hostFunction, Size: 1}}
		a.UidMappings, a.GidMappings, a.GidMappingsEnableSetgroups = ids, ids, true
		a.Credential = &syscall.Credential{Uid: insideInit, Gid: insideInit}
		return a
	}
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: insideFunction, HostID: os.Geteuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: insideFunction, HostID: os.Getegid(), Size: 1}}
	// Who is not user 0 keeps capabilities over an exec only when they are ambient. // capabilities(7)
	a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP, unix.CAP_SYS_RESOURCE, unix.CAP_DAC_OVERRIDE, unix.CAP_NET_BIND_SERVICE}
	return a
}

// settle puts the init into a group of its own, while it starts: to move a process between groups can take the kernel
// milliseconds. Then it waits until the sandbox is ready.
func (n *nest) settle(c *cgroups, name string) (err error) {
	if n.group, err = c.make(name); err != nil {
		return err
	}
	joined := n.group.join(n.cmd.Process.Pid)
	kind, u, _, err := n.conn.Receive()
	switch {
	case err != nil:
		return fault.New(fault.Unavailable, "make a sandbox: its init ended at once: %w", err)
	case kind == inside.Failed:
		return fault.New(fault.Unavailable, "make a sandbox: %s", u.Text())
	}
	return joined
}

func (n *nest) send(k inside.Kind, p *inside.Packer, files ...int) error {
	n.sending.Lock()
	defer n.sending.Unlock()
	return n.conn.Send(k, p, files...)
}

// waits says whether the init still does: it has nothing to say before it is given a task, but for its end.
func (n *nest) waits() bool {
	p := []unix.PollFd{{Fd: int32(n.sock.Fd()), Events: unix.POLLIN}}
	ready, err := unix.Poll(p, 0)
	return ready == 0 && err == nil
}

// kill ends all that is in the sandbox: the kernel does so when process 1 of a pid namespace ends.
func (n *nest) kill() { _ = n.cmd.Process.Kill() } // gone already is what we want

// destroy kills, waits until nothing is left, and frees.
func (n *nest) destroy() error {
	n.kill()
	_ = n.cmd.Wait() // it was killed; the kernel lets it end last of its namespace
	err := n.sock.Close()
	if n.group != nil {
		err = errors.Join(err, n.group.remove())
	}
	return err
}
