package native

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"golang.org/x/sys/unix"
)

const (
	taskRoot   = "/var/task"
	defaultTmp = 64 << 20
)

// start takes a nest, makes it s's and starts the command.
func (r *Runner) start(ctx context.Context, s runner.Spec) (*sandbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.find(&s); err != nil {
		return nil, err
	}
	r.spares.begin()
	defer r.spares.refill()
	n, err := r.spares.take(r.kindFor(&s))
	if err != nil {
		return nil, err
	}
	sb := &sandbox{
		spec: s, nest: n, apart: r.kernel != nil, sweeper: r.sweeper, flows: r.flows, record: r.recordFile(s.ID), done: make(chan struct{}), dials: make(map[int64]chan dialled),
		log: r.log.With("function", s.Function, "version", s.Version, "instance", s.ID),
	}
	// What blocks below is the init's answer, and a dead init's is an end of file.
	stop := context.AfterFunc(ctx, n.kill)
	err = sb.launch(r)
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		n.end()
		n.wait()
		sb.leaving.Wait()
		for _, o := range sb.outputs {
			o.Drain()
		}
		return nil, errors.Join(err, sb.discard())
	}
	return sb, nil
}

// find finds the directories of s. An ordinary user's are given to the init by name, which sees the host's below another directory, and
// so are freed of symbolic links.
func (r *Runner) find(s *runner.Spec) error {
	s.Root = slices.Clone(s.Root)
	dirs := []*string{&s.CodeDir}
	for i := range s.Root {
		dirs = append(dirs, &s.Root[i])
	}
	s.Mounts = slices.Clone(s.Mounts)
	for i := range s.Mounts {
		dirs = append(dirs, &s.Mounts[i].Dir)
	}
	for _, dir := range dirs {
		if *dir == "" {
			continue
		}
		if _, err := os.Stat(*dir); err != nil {
			return err
		}
		if r.root {
			continue
		}
		there, err := filepath.EvalSymlinks(*dir)
		if err != nil {
			return fmt.Errorf("find %s: %w", *dir, err)
		}
		*dir = there
	}
	return nil
}

func (sb *sandbox) launch(r *Runner) error {
	s := &sb.spec
	places, err := sb.places()
	if err != nil {
		return err
	}
	filter := r.filter
	if s.Nested {
		filter = r.nesting
	}
	program, err := filter()
	if err != nil {
		return err
	}
	t := &inside.Task{
		Function: s.Function, Base: s.Base, CodeDir: s.CodeDir, Tmp: s.Tmp, Filter: program,
	}
	setImage(t, s, sb.nest, r.root)
	setMounts(t, s)
	if t.Tmp <= 0 {
		t.Tmp = defaultTmp // 0 would be no limit at all
	}
	t.Command, t.Env = s.Expand(places)
	t.Hold, t.Calls = s.Hold != nil, s.Calls
	for _, f := range s.SecretFiles() {
		t.SecretNames, t.SecretTexts = append(t.SecretNames, f.Name), append(t.SecretTexts, string(f.Text))
	}
	switch {
	case s.Network == "egress":
		t.Listen, t.Egress, t.Resolv = int64(s.Listen), true, egress.Resolv()
	case ownNet(s):
		t.Listen = int64(s.Listen)
	default:
		b, err := os.ReadFile("/etc/resolv.conf")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		t.Resolv = string(b)
	}
	t.Files = int64(s.Files)
	if s.PIDs > 0 && !r.groups().has("pids") {
		t.PIDs = int64(s.PIDs) + initThreads
	}
	if err := r.kernel.setTask(t, s); err != nil {
		return err
	}
	if err := sb.nest.group.limit(r.kernel.limits(s)); err != nil {
		return err
	}
	if err := sb.give(t, r); err != nil {
		return err
	}
	s.Secrets = nil // the init has them
	// While the init is at work. A node that is killed in between leaves nothing: the init notices by itself.
	if err := writeRecord(sb.record, sb.nest.init); err != nil {
		return err
	}
	if err := sb.await(); err != nil {
		return err
	}
	return sb.accompany(places, r.root)
}

// places says what the texts in the Spec stand for: the sandbox's own loopback, or free ports of the host's.
func (sb *sandbox) places() (runner.Places, error) {
	p := runner.Places{Task: taskRoot, Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(sb.spec.Listen)), Port: sb.spec.Port}
	if ownNet(&sb.spec) {
		return p, nil
	}
	l, err := sb.spec.OpenLoopback(&p)
	sb.listener = l
	if err != nil {
		return p, err
	}
	if sb.spec.Port != 0 {
		sb.port = p.Port
	}
	return p, nil
}

// give sends the task, with the descriptors that the command gets.
func (sb *sandbox) give(t *inside.Task, r *Runner) error {
	root := r.root
	var mine []*os.File // closed here once they are sent
	defer func() {
		for _, f := range mine {
			f.Close()
		}
	}()
	stdin, err := sb.spec.OpenStdin()
	if err != nil {
		return err
	}
	mine = append(mine, stdin)
	for _, write := range []func([]byte){sb.spec.Stdout, sb.spec.Stderr} {
		w, err := sb.carry(write, root)
		if err != nil {
			return err
		}
		mine = append(mine, w)
	}
	if t.CodeDir != "" && root {
		// The way to the code may be closed to all but root; a mount of our making is open to the init.
		fd, err := unix.OpenTree(unix.AT_FDCWD, t.CodeDir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return fmt.Errorf("mount code %s: %w", t.CodeDir, err)
		}
		mine = append(mine, os.NewFile(uintptr(fd), t.CodeDir))
		t.CodeMount = true
	}
	if t.Egress && root {
		device, err := openDevice(sb.nest.init.PID)
		if err != nil {
			return err
		}
		mine = append(mine, device)
		t.EgressGiven = true
	}
	programs, err := r.kernel.mounts()
	mine = append(mine, programs...)
	if err != nil {
		return err
	}
	if root {
		layers, err := mountLayers(sb.spec.Root, sb.nest.init.PID)
		mine = append(mine, layers...)
		if err != nil {
			return err
		}
		t.LayerMounts = true
		shown, err := showMounts(sb.spec.Mounts, sb.nest.init.PID)
		mine = append(mine, shown...)
		if err != nil {
			return err
		}
		t.MountsGiven = true
	}
	var fds []int
	for _, f := range mine {
		fds = append(fds, int(f.Fd()))
	}
	return sb.nest.send(inside.Start, t.Pack(), fds...)
}

// carry makes a pipe to a writer of the Spec.
func (sb *sandbox) carry(write func([]byte), root bool) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	sb.outputs = append(sb.outputs, runner.Carry(r, write))
	if root {
		// So that it can open /dev/stdout as well as write to it.
		ids := kindOf(&sb.spec).ids
		ids.First = sb.nest.ids.First
		if err := w.Chown(ids.OnHost()); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// await reads what came of the task until the command runs, or did not.
func (sb *sandbox) await() error {
	for {
		kind, u, files, err := sb.nest.conn.Receive()
		switch {
		case err != nil:
			return fault.New(fault.Unavailable, "the sandbox's init ended: %w", err)
		case kind == inside.Failed:
			return fault.New(fault.Unavailable, "make the sandbox: %s", u.Text())
		case kind == inside.Listening && len(files) == 1:
			if sb.listener, err = takeListener(files[0]); err != nil {
				return err
			}
		case kind == inside.Calling && len(files) == 1:
			if sb.calls, err = takeListener(files[0]); err != nil {
				return err
			}
		case kind == inside.Linked && len(files) == 1:
			if err := sb.carryOut(files[0]); err != nil {
				return err
			}
		case kind == inside.NotStarted:
			sb.exit = sb.notStarted(u)
			return nil
		case kind == inside.Started:
			return nil
		}
	}
}

func takeListener(fd int) (net.Listener, error) {
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take the listener: %w", err)
	}
	return l, nil
}

func (sb *sandbox) notStarted(u *inside.Unpacker) runner.Exit {
	what, errno := sb.spec.Command[0], syscall.Errno(u.Number())
	if u.Number() != 0 {
		what = "working directory " + sb.spec.WorkDir
	}
	return runner.Exit{Code: -1, Start: what + ": " + errno.Error()}
}
