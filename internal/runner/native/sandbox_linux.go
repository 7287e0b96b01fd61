package native

import (
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// sandbox implements runner.Sandbox.
type sandbox struct {
	spec     runner.Spec
	log      *slog.Logger
	nest     *nest
	sweeper  *sweeper
	record   string       // file; see recover_linux.go
	listener net.Listener // nil when none was asked for
	calls    net.Listener // the same
	port     int          // on the host's loopback, with network host
	outputs  []*runner.Output
	apart    bool               // its kernel is not the host's
	beside   [][]*runner.Output // of each companion
	leaving  sync.WaitGroup     // companions whose end is being passed on
	flows    *egress.Budget
	way      *egress.Link // nil but with network egress
	done     chan struct{}
	frozen   frozen

	mu     sync.Mutex
	ended  bool // init or command: nothing is left to signal or to dial
	over   bool // the watch saw it over its memory limit
	exit   runner.Exit
	usage  runner.Usage
	dials  map[int64]chan dialled
	lastID int64
}

type dialled struct {
	fd  int
	err error
}

// passing is how long a kernel that is not the host's takes to pass on what was written in it: from here that cannot be seen.
const passing = 100 * time.Millisecond

// Flush implements runner.Flusher.
func (sb *sandbox) Flush(wait time.Duration) {
	if sb.apart {
		pause := time.NewTimer(min(passing, wait))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-sb.done:
		}
	}
	runner.FlushAll(sb.outputs, wait)
}

// run waits until all that the function is has ended, and frees what is its own. finish comes after it.
func (sb *sandbox) run() {
	letGo := sb.holdBack()
	exit, alone := sb.follow()
	letGo()
	sb.mu.Lock()
	sb.ended = true
	for id, c := range sb.dials {
		c <- dialled{err: errEnded(sb.spec.ID)}
		delete(sb.dials, id)
	}
	sb.mu.Unlock()
	sb.nest.end()
	if !alone {
		sb.nest.wait()
	}
	var lost int64
	sb.leaving.Wait()
	for _, o := range sb.outputs {
		o.Drain()
		lost += o.Lost()
	}
	usage := sb.nest.group.usage()
	kills := sb.nest.group.oomKills()
	sb.mu.Lock()
	exit.Lost = lost
	exit.OOM = sb.over || kills > 0 && exit.Code != 0
	sb.exit = exit
	if usage.CPU > 0 {
		sb.usage.CPU = usage.CPU // wait4's figure goes by ticks: twice as much was seen with gVisor held back by its limit
	}
	sb.usage.MemoryPeak = max(sb.usage.MemoryPeak, usage.MemoryPeak)
	sb.mu.Unlock()
	if err := sb.discard(); err != nil {
		sb.log.Warn("sandbox not removed", "err", err)
	}
}

// follow reads what the init says until the command has ended, and returns how, and whether nothing but the init is left.
func (sb *sandbox) follow() (exit runner.Exit, alone bool) {
	exit = runner.Exit{Code: -1, Signal: "SIGKILL"} // an init that says nothing was killed
	if sb.exit.Start != "" {
		exit = sb.exit
	}
	for {
		kind, u, files, err := sb.nest.conn.Receive()
		if err != nil {
			return exit, false
		}
		switch kind {
		case inside.Ended:
			exit = exitOf(syscall.WaitStatus(u.Number()))
			sb.mu.Lock()
			sb.usage.CPU = max(sb.usage.CPU, time.Duration(u.Number()))
			sb.usage.MemoryPeak = max(sb.usage.MemoryPeak, u.Number()<<10)
			sb.mu.Unlock()
			return exit, u.Number() != 0
		case inside.NotStarted: // after it was held back
			return sb.notStarted(u), false
		case inside.Left:
			sb.left(u)
		case inside.Dialled:
			id, errno := u.Number(), syscall.Errno(u.Number())
			d := dialled{fd: -1}
			if errno != 0 {
				d.err = os.NewSyscallError("connect", errno)
			} else if len(files) == 1 {
				d.fd = files[0]
			}
			sb.hand(id, d)
		}
	}
}

// finish tells that the sandbox is over.
func (sb *sandbox) finish() { close(sb.done) }

func (sb *sandbox) kill() {
	sb.nest.kill()
	sb.thaw()
}

// thaw lets a sandbox that is about to end do so.
func (sb *sandbox) thaw() {
	if err := sb.frozen.end(); err != nil {
		sb.log.Warn("sandbox not thawed", "err", err)
	}
}

// discard frees what is left of a sandbox whose nest was ended and whose outputs are drained, or were never opened.
func (sb *sandbox) discard() error {
	if sb.listener != nil {
		sb.listener.Close()
	}
	if sb.calls != nil {
		sb.calls.Close()
	}
	if sb.way != nil {
		sb.way.Close()
	}
	sb.sweeper.sweep(sb.nest)
	return removeRecord(sb.record)
}

// Listener implements runner.Sandbox.
func (sb *sandbox) Listener() net.Listener { return sb.listener }

// Calls implements runner.Caller.
func (sb *sandbox) Calls() net.Listener { return sb.calls }

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
	runner.StopWithin(grace, sb.done, func() {
		sb.terminate()
		sb.thaw()
	}, sb.kill)
}

// terminate asks the command's process group to end. An init that cannot be told is one that is ending.
func (sb *sandbox) terminate() {
	_ = sb.nest.send(inside.Signal, new(inside.Packer).Number(int64(sb.spec.Signal())))
}

// Usage implements runner.Sandbox.
func (sb *sandbox) Usage() runner.Usage {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.ended {
		return sb.usage
	}
	now := sb.nest.group.usage()
	return runner.Usage{CPU: max(sb.usage.CPU, now.CPU), MemoryPeak: max(sb.usage.MemoryPeak, now.MemoryPeak)}
}
