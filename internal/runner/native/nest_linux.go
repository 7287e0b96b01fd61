package native

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"github.com/dalamb/dalamb/internal/runner/tree"
	"golang.org/x/sys/unix"
)

// nest is a sandbox that waits for a task: its namespaces and its init.
type nest struct {
	init  tree.Identity
	pidfd *os.File // nil when there is no init
	group *group
	ids   inside.IDs
	free  func() // gives the ids back, when nothing is left
	conn  *inside.Conn
	sock  *os.File

	sending sync.Mutex // held while a frame is written
	closed  bool       // sock is
}

// serial names the cgroups of one runner, unlike those of an earlier node that had the same pid.
type serial struct {
	token string
	n     atomic.Int64
}

func newSerial() *serial { return &serial{token: strings.ToLower(rand.Text())[:10] + "-"} }

func (s *serial) next() string { return s.token + strconv.FormatInt(s.n.Add(1), 10) }

func (s *serial) made(name string) bool { return strings.HasPrefix(name, s.token) }

// kind is what of a function must be known when its nest is made.
type kind struct {
	ownNet bool       // a network namespace, with nothing but a loopback
	ids    inside.IDs // without a range
	nested bool       // the command is root of namespaces of its own
}

// usual is the kind of most functions.
func usual() kind {
	return kind{ownNet: true, ids: inside.IDs{UID: inside.FunctionID, GID: inside.FunctionID}}
}

// kindFor is what the nest for s must be of: one with a range has all users that there may be.
func (r *Runner) kindFor(s *runner.Spec) kind {
	k := kindOf(s)
	if r.ranges != nil {
		k.ids = usual().ids
	}
	return k
}

func kindOf(s *runner.Spec) kind {
	k := usual()
	k.ownNet, k.nested = ownNet(s), s.Nested
	if s.User != nil {
		k.ids = inside.IDs{UID: int64(s.User.UID), GID: int64(s.User.GID)}
	}
	return k
}

// nest makes one.
func (r *Runner) nest(k kind) (*nest, error) {
	n, err := r.tryNest(k)
	if errors.Is(err, errZygote) {
		n, err = r.tryNest(k) // it had ended since the last nest, and there is another now
	}
	return n, err
}

func (r *Runner) tryNest(k kind) (*nest, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	n := &nest{sock: os.NewFile(uintptr(fds[0]), "node's end"), conn: inside.NewConn(fds[0])}
	theirs := os.NewFile(uintptr(fds[1]), "init's end")
	n.ids, n.free = k.ids, func() {}
	name := r.serial.next()
	n.group, err = r.groups().make(name)
	if err == nil && r.ranges != nil {
		n.ids.First, err = r.ranges.lease()
		n.free = func() { r.ranges.release(n.ids.First) }
	}
	if err == nil {
		k.ids = n.ids
		n.init.PID, n.pidfd, err = r.makeInit(name, k, n, theirs)
	}
	theirs.Close()
	if err == nil {
		err = n.ready()
	}
	if err == nil {
		err = n.identify(r.boot)
	}
	if err != nil {
		r.discard(n)
		return nil, err
	}
	return n, nil
}

// discard ends a nest that nobody wants.
func (r *Runner) discard(n *nest) {
	n.end()
	r.sweeper.sweep(n)
}

// ready waits until the init has made what needs no task.
func (n *nest) ready() error {
	kind, u, _, err := n.conn.Receive()
	switch {
	case err != nil:
		return fault.New(fault.Unavailable, "make a sandbox: its init ended at once: %w", err)
	case kind == inside.Failed:
		return fault.New(fault.Unavailable, "make a sandbox: %s", u.Text())
	}
	return nil
}

// identify looks the init up while it is there for sure.
func (n *nest) identify(boot func() (string, error)) error {
	b, err := boot()
	if err != nil {
		return err
	}
	id, ok := tree.IdentifySince(b, n.init.PID)
	if !ok || n.gone() { // gone: another process may have its number
		return fault.New(fault.Unavailable, "make a sandbox: its init %d ended at once", n.init.PID)
	}
	n.init = id
	return nil
}

func (n *nest) send(k inside.Kind, p *inside.Packer, files ...int) error {
	n.sending.Lock()
	defer n.sending.Unlock()
	if n.closed {
		return os.ErrClosed
	}
	return n.conn.Send(k, p, files...)
}

// waits says whether the init still does: it has nothing to say before it is given a task, but for its end.
func (n *nest) waits() bool {
	p := []unix.PollFd{{Fd: int32(n.sock.Fd()), Events: unix.POLLIN}}
	ready, err := unix.Poll(p, 0)
	return ready == 0 && err == nil
}

// kill ends all that is in the sandbox: the kernel does so when process 1 of a pid namespace ends.
func (n *nest) kill() {
	n.control(func(fd int) { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }) // gone already is what we want
}

// wait blocks until nothing of the sandbox lives: the kernel lets an init end last of its namespace.
func (n *nest) wait() { n.poll(-1) }

// gone says whether nothing of the sandbox lives.
func (n *nest) gone() bool { return n.poll(0) }

// poll says whether the init has ended, within so many milliseconds. // pidfd_open(2), NOTES
func (n *nest) poll(timeout int) (ended bool) {
	n.control(func(fd int) {
		for {
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, timeout)
			if err == nil || !errors.Is(err, unix.EINTR) {
				ended = ready > 0
				return
			}
		}
	})
	return ended
}

// control uses the pidfd, when the init is there and was not swept.
func (n *nest) control(use func(fd int)) {
	if n.pidfd == nil {
		return
	}
	c, err := n.pidfd.SyscallConn()
	if err == nil {
		_ = c.Control(func(fd uintptr) { use(int(fd)) }) // closed: it was swept
	}
}

// end closes the init's socket and kills it. What is left is for a sweeper.
func (n *nest) end() {
	n.kill()
	n.sending.Lock()
	defer n.sending.Unlock()
	n.closed = true
	n.sock.Close()
}
