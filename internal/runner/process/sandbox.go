package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

// sandbox implements runner.Sandbox.
type sandbox struct {
	spec     runner.Spec
	log      *slog.Logger
	dir      string
	port     int
	listener net.Listener // nil when none was asked for
	cmd      *exec.Cmd
	family   *family
	outputs  []*runner.Output
	notes    chan string // lines of dalamb's own for the function's stderr
	kill     chan struct{}
	killOnce sync.Once
	done     chan struct{}

	mu     sync.Mutex
	reaped bool // the command's pid may be another's now
	oom    bool
	usage  runner.Usage
	exit   runner.Exit
}

// entry is what marks the processes of one sandbox in their environment.
func (r *Runner) entry(id string) string { return "DALAMB_SANDBOX=" + r.mark + "-" + id }

// start makes the sandbox and starts its command.
func (r *Runner) start(ctx context.Context, s runner.Spec) (*sandbox, error) {
	sb := &sandbox{
		spec: s, dir: filepath.Join(r.dir, s.ID),
		log:  r.log.With("function", s.Function, "version", s.Version, "instance", s.ID),
		kill: make(chan struct{}), done: make(chan struct{}), notes: make(chan string, 1),
		family: &family{mark: r.entry(s.ID)},
	}
	err := sb.launch(ctx, r.forker)
	if err != nil {
		sb.discard()
		return nil, fmt.Errorf("start sandbox %s of function %s: %w", s.ID, s.Function, err)
	}
	return sb, nil
}

func (sb *sandbox) launch(ctx context.Context, f *forker) error {
	s := sb.spec
	tmp := filepath.Join(sb.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	task := s.CodeDir
	if task == "" {
		task = tmp
	}
	if _, err := os.Stat(task); err != nil {
		return err
	}
	places, err := sb.places(task)
	if err != nil {
		return err
	}
	command, env := s.Expand(places)
	env = append(env, "TMPDIR="+tmp, sb.family.mark)
	stdin, err := s.OpenStdin()
	if err != nil {
		return err
	}
	defer stdin.Close()
	path, err := find(command[0], task, env)
	sb.cmd = &exec.Cmd{Path: path, Args: command, Env: env, Dir: task, Stdin: stdin, SysProcAttr: sysProcAttr()}
	if err == nil {
		err = ctx.Err()
		if err != nil {
			return err
		}
		err = sb.fork(f)
	}
	if err != nil {
		return sb.notStarted(command[0], err)
	}
	pid := sb.cmd.Process.Pid
	sb.family.leader, sb.family.own = pid, true
	if p, ok := tree.Find(pid); ok {
		sb.family.start = p.Start
	}
	limit(pid)
	if err := writeRecord(sb.dir, pid); err != nil {
		sb.log.Warn("a killed node's successor may not find this process", "err", err)
	}
	return nil
}

// places opens the listener and picks the port.
func (sb *sandbox) places(task string) (runner.Places, error) {
	p := runner.Places{Task: task}
	l, err := sb.spec.OpenLoopback(&p)
	sb.listener = l
	if err != nil {
		return p, err
	}
	sb.port = p.Port
	return p, nil
}

// fork starts the command with its output carried to the Spec's writers.
func (sb *sandbox) fork(f *forker) error {
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(err, outRead.Close(), outWrite.Close())
	}
	sb.cmd.Stdout, sb.cmd.Stderr = outWrite, errWrite
	err = f.start(sb.cmd)
	outWrite.Close()
	errWrite.Close()
	if err != nil {
		outRead.Close()
		errRead.Close()
		return err
	}
	sb.outputs = []*runner.Output{runner.Carry(outRead, sb.spec.Stdout), runner.Carry(errRead, sb.spec.Stderr)}
	return nil
}

// Flush implements runner.Flusher.
func (sb *sandbox) Flush(wait time.Duration) { runner.FlushAll(sb.outputs, wait) }

// notStarted tells apart what the function did wrong (Exit.Start) from what dalamb or the machine did.
func (sb *sandbox) notStarted(name string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno) && errno != syscall.EAGAIN && errno != syscall.ENOMEM && errno != syscall.EMFILE && errno != syscall.ENFILE:
		sb.exit = runner.Exit{Code: -1, Start: name + ": " + errno.Error()}
		sb.cmd = nil
		return nil
	case errors.As(err, &errno):
		return fault.New(fault.Exhausted, "%w", err)
	}
	return err
}

// find resolves the first word of a command as runner.Spec.Command says.
func find(name, task string, env []string) (string, error) {
	switch {
	case filepath.IsAbs(name):
		return name, nil
	case strings.Contains(name, "/"):
		return filepath.Join(task, name), nil
	}
	var path string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			path = v
		}
	}
	err := error(syscall.ENOENT)
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(task, dir)
		}
		file := filepath.Join(dir, name)
		switch info, statErr := os.Stat(file); {
		case statErr != nil || info.IsDir():
		case info.Mode()&0o111 == 0:
			err = syscall.EACCES
		default:
			return file, nil
		}
	}
	return "", err
}

// run waits until the command has ended, then ends what it started, and frees everything. finish comes after it.
func (sb *sandbox) run() {
	if sb.cmd != nil {
		exited := make(chan struct{})
		go func() {
			sb.wait()
			close(exited)
		}()
		select {
		case <-exited:
		case <-sb.kill:
		}
		now := time.Now()
		if !sb.family.kill(now.Add(killWait), now.Add(execWait)) {
			sb.log.Error("processes of a function do not end", "pid", sb.family.leader)
		}
		<-exited
	}
	var lost int64
	for _, o := range sb.outputs {
		o.Drain()
		lost += o.Lost()
	}
	sb.mu.Lock()
	sb.exit.Lost = lost
	sb.mu.Unlock()
	select {
	case n := <-sb.notes:
		if sb.spec.Stderr != nil {
			sb.spec.Stderr([]byte(n))
		}
	default:
	}
	sb.discard()
}

// wait reaps the command and notes how it ended.
func (sb *sandbox) wait() {
	// The error says what ProcessState says too.
	_ = sb.cmd.Wait()
	state := sb.cmd.ProcessState
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.reaped = true
	sb.exit.Code = state.ExitCode()
	if ws := state.Sys().(syscall.WaitStatus); ws.Signaled() {
		sb.exit.Signal = unix.SignalName(ws.Signal())
	}
	sb.exit.OOM = sb.oom
	sb.usage.CPU = max(sb.usage.CPU, state.UserTime()+state.SystemTime())
	sb.usage.MemoryPeak = max(sb.usage.MemoryPeak, maxResident(state.SysUsage().(*syscall.Rusage)))
}

// discard frees what is not a process.
func (sb *sandbox) discard() {
	if sb.listener != nil {
		sb.listener.Close()
	}
	if err := os.RemoveAll(sb.dir); err != nil {
		sb.log.Warn("sandbox directory stays", "path", sb.dir, "err", err)
	}
}

// note puts a line of dalamb's own at the end of the function's stderr. Only the first is kept.
func (sb *sandbox) note(line string) {
	select {
	case sb.notes <- line:
	default:
	}
}

// finish tells that the sandbox is over.
func (sb *sandbox) finish() { close(sb.done) }

func (sb *sandbox) killNow() { sb.killOnce.Do(func() { close(sb.kill) }) }

// Listener implements runner.Sandbox.
func (sb *sandbox) Listener() net.Listener { return sb.listener }

// Dial implements runner.Sandbox.
func (sb *sandbox) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(sb.port)))
}

// DialPort implements runner.PortDialer.
func (sb *sandbox) DialPort(ctx context.Context, port int) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// Done implements runner.Sandbox.
func (sb *sandbox) Done() <-chan struct{} { return sb.done }

// Exit implements runner.Sandbox.
func (sb *sandbox) Exit() runner.Exit {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.exit
}

// Stop implements runner.Sandbox.
func (sb *sandbox) Stop(grace time.Duration) {
	runner.StopWithin(grace, sb.done, sb.terminate, sb.killNow)
}

// terminate asks the command's process group to end.
func (sb *sandbox) terminate() {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.cmd != nil && !sb.reaped {
		_ = syscall.Kill(-sb.family.leader, sb.spec.Signal()) // gone already is what we want
	}
}

// Usage implements runner.Sandbox.
func (sb *sandbox) Usage() runner.Usage {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.usage
}
