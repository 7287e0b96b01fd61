package native

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"golang.org/x/sys/unix"
)

// errZygote is of a nest that was not made because the zygote ended.
var errZygote = errors.New("the process that makes sandboxes ended")

// zygote is the node's side of the process that makes inits; see package inside. It is started when the first nest is asked
// for, and again when it has died. It makes one nest at a time.
type zygote struct {
	turn chan *breeder // holds one, nil when none runs; who has taken it speaks with it
	born func(pid int) // is told of each before it makes anything: what it makes is in the groups that it is in
}

// breeder is a running zygote.
type breeder struct {
	cmd  *exec.Cmd
	sock *os.File
	conn *inside.Conn
}

func newZygote(born func(pid int)) *zygote {
	z := &zygote{turn: make(chan *breeder, 1), born: born}
	z.turn <- nil
	return z
}

// make clones an init into the group, with sock as its end of the socket. The init is not ready yet.
func (z *zygote) make(n *inside.Nest, g *group, sock *os.File) (pid int, pidfd *os.File, err error) {
	b := <-z.turn
	defer func() { z.turn <- b }()
	if b == nil {
		if b, err = newBreeder(); err != nil {
			return 0, nil, err
		}
		z.born(b.cmd.Process.Pid)
	}
	pid, pidfd, err = b.make(n, g, sock)
	if errors.Is(err, errZygote) {
		b.end()
		b = nil
	}
	return pid, pidfd, err
}

// close ends the process. What it made goes on.
func (z *zygote) close() {
	if b := <-z.turn; b != nil {
		b.end()
	}
	z.turn <- nil
}

func newBreeder() (*breeder, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "zygote's end")
	defer theirs.Close()
	b := &breeder{sock: os.NewFile(uintptr(fds[0]), "node's end"), conn: inside.NewConn(fds[0])}
	b.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"dalamb-zygote"}, Dir: "/",
		// It works on one thread, and the less it holds the less a clone copies: the collector begins at 1 MiB.
		Env:        []string{inside.ZygoteVariable + "=1", "GOMAXPROCS=1", "GOGC=25"},
		ExtraFiles: []*os.File{theirs},
		// A terminal's interrupt is the node's alone.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := b.cmd.Start(); err != nil {
		b.sock.Close()
		return nil, fault.New(fault.Unavailable, "start the process that makes sandboxes: %w", err)
	}
	return b, nil
}

func (b *breeder) make(n *inside.Nest, g *group, sock *os.File) (int, *os.File, error) {
	n.Groups, n.Group2 = g.directories()
	if err := b.conn.Send(inside.Make, n.Pack(), int(sock.Fd())); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errZygote, err)
	}
	kind, u, files, err := b.conn.Receive()
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%w: %w", errZygote, err)
	case kind == inside.Made && len(files) == 1:
		return int(u.Number()), os.NewFile(uintptr(files[0]), "pidfd"), nil
	}
	return 0, nil, fault.New(fault.Unavailable, "make a sandbox: %s", u.Text())
}

func (b *breeder) end() {
	b.sock.Close()
	_ = b.cmd.Wait() // it has nothing to say about how it ended
}
