package native

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/native/seccomp"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

// Options are what a Runner is made from.
type Options struct {
	StateDir string                // where records of sandboxes are kept; made when missing
	Log      *slog.Logger          // nil = none
	Metrics  prometheus.Registerer // nil = none

	// Spare is how many sandboxes wait for a function at most, each of some MiB; 0 = 16, negative = none. So many wait as were
	// started within one second of the last minute, and two in any case. They are made from the first
	// Start on.
	Spare int

	IDs IDs // of the host, for sandboxes of a node that is root; zero = DefaultIDs

	Maker  Maker   // nil = the runner's own zygote
	Kernel *Kernel // nil = the host's
}

// Bounds of how many sandboxes wait, where nothing else is said.
const leastSpares, mostSpares = 2, 16

// watchEvery is how often memory is looked at where cgroups do not limit it.
const watchEvery = 200 * time.Millisecond

// Runner implements runner.Runner.
type Runner struct {
	dir     string // absolute
	name    string // of our cgroups' parents
	root    bool   // the node is root: it can map two users, make mounts and cgroups
	log     *slog.Logger
	machine *machine
	filter  func() (string, error)
	nesting func() (string, error) // the filter of nested commands
	groups  func() *cgroups        // makes the parents at the first call
	boot    func() (string, error)
	zygote  *zygote
	maker   Maker   // nil = zygote
	kernel  *Kernel // nil = the host's
	ranges  *ranges // nil when the node is not root, or may not give its sandboxes ids of their own
	noIDs   error   // why root has no ranges
	sweeper *sweeper
	traces  *traces // nil when the node is not root: what it makes ends with its session
	spares  *spares
	serial  *serial
	flows   *egress.Budget

	roster runner.Roster[sandbox]
	watch  tree.Watch
}

// New makes a runner. It starts nothing.
func New(o Options) (*Runner, error) {
	if o.StateDir == "" {
		return nil, fault.New(fault.Invalid, "the native runner has no state directory")
	}
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("find state directory %s: %w", o.StateDir, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Spare == 0 {
		o.Spare = mostSpares
	}
	m, err := thisMachine()
	if err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
	}
	sum := sha256.Sum256([]byte(dir))
	r := &Runner{
		dir: dir, name: "dalamb-" + hex.EncodeToString(sum[:6]), root: os.Geteuid() == 0, log: o.Log, machine: m,
		serial: newSerial(), filter: sync.OnceValues(seccomp.Default().Program), nesting: sync.OnceValues(seccomp.Nested().Program), boot: sync.OnceValues(tree.Boot),
		maker: o.Maker, kernel: o.Kernel, sweeper: &sweeper{log: o.Log}, flows: egress.NewBudget(mostFlows()),
	}
	r.watch.Every, r.watch.Log, r.watch.Measure = watchEvery, o.Log, r.measures
	r.groups = sync.OnceValue(func() *cgroups {
		c := m.cgroups(r.name)
		if err := errors.Join(r.noteParents(c), r.leaveTraces(c)); err != nil {
			r.log.Warn("a killed node's successor may not find all cgroups", "err", err)
		}
		return c
	})
	r.zygote = newZygote(func(pid int) {
		if disk := r.groups().disk; disk != nil {
			_ = disk.write("cgroup.procs", int64(pid)) // a weight less is no reason not to start functions
		}
	})
	if r.root {
		r.traces = newTraces()
		if err := r.findIDs(o.IDs); err != nil {
			return nil, err
		}
	}
	r.spares = &spares{
		least: min(leastSpares, max(o.Spare, 0)), most: max(o.Spare, 0), now: time.Now, make: r.nest, discard: r.discard, log: o.Log,
		available: available, over: make(chan struct{}),
	}
	if err := r.spares.register(o.Metrics); err != nil {
		return nil, fmt.Errorf("make runner: %w", err)
	}
	return r, nil
}

// Name implements runner.Runner.
func (r *Runner) Name() string { return "native" }

// Check implements runner.Runner. It starts a trial sandbox with a command that does not exist: to learn that, all of the fence
// must have been put up.
func (r *Runner) Check(ctx context.Context) (runner.Ability, error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return runner.Ability{}, fault.New(fault.Unavailable, "make state directory: %w", err).
			WithHint("choose a data directory that you may write to")
	}
	trial := runner.Spec{
		ID: "check", Function: "check", Base: "host", Network: "none", Command: []string{"/none"},
		Memory: 64 << 20, CPU: 1, PIDs: 16, Tmp: 1 << 20, Listen: 9001,
	}
	sb, err := r.Start(ctx, trial)
	if err != nil {
		return runner.Ability{}, remedy(err)
	}
	select {
	case <-sb.Done():
	case <-ctx.Done():
		sb.Stop(0)
		return runner.Ability{}, fmt.Errorf("try a sandbox: %w", ctx.Err())
	}
	if e := sb.Exit(); e.Start == "" {
		return runner.Ability{}, fault.New(fault.Unavailable, "a trial sandbox ended unexpectedly: %+v", e).WithHint("%s", elseHint)
	}
	return r.ability(), nil
}

func (r *Runner) ability() runner.Ability {
	a := runner.Ability{Isolated: true, Kernel: r.kernel != nil, Images: true, Users: r.ranges != nil, Limits: []string{"tmp", "files"}}
	if r.noIDs != nil {
		a.Notes = append(a.Notes, "Sandboxes share two users of the host, nobody and the one before it: "+r.noIDs.Error()+".")
	}
	if !r.root {
		a.Notes = append(a.Notes, "Functions run as the node's own user, since only root can give them others.")
	}
	if err := tryDevice(); err != nil {
		a.Notes = append(a.Notes, "Functions with network: egress are refused: "+err.Error()+". To allow them: "+deviceHint+".")
	} else {
		a.Egress = true
	}
	a.Freezing, a.Disk = r.machine.freezing(r.groups()), r.machine.diskWeight(r.groups())
	for _, c := range []string{"memory", "cpu", "pids"} {
		switch {
		case r.groups().has(c):
			a.Limits = append(a.Limits, c)
		case c == "memory":
			a.Notes = append(a.Notes, "Memory is looked at from time to time and a function over its limit killed, since no memory cgroup is ours to use: best effort.")
		case c == "cpu":
			a.Notes = append(a.Notes, "CPU is not limited, since no cpu cgroup is ours to use.")
		case c == "pids":
			a.Limits = append(a.Limits, c)
			a.Notes = append(a.Notes, "Processes are limited by RLIMIT_NPROC, since no pids cgroup is ours to use.")
		}
	}
	return a
}

// Start implements runner.Runner.
func (r *Runner) Start(ctx context.Context, s runner.Spec) (runner.Sandbox, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if r.kernel != nil {
		if err := s.WithoutMounts(r.Name()); err != nil {
			return nil, err
		}
	}
	if s.Network == "egress" {
		if err := tryDevice(); err != nil {
			return nil, fault.New(fault.Unavailable, "function %s wants network: egress, which this node cannot give: %w", s.Function, err).
				WithHint("%s", deviceHint)
		}
	}
	if s.Nested && !r.groups().has("memory") {
		// It may mount file systems that are in memory, which is all that bounds them.
		return nil, fault.New(fault.Unavailable, "%s needs a memory cgroup, since it may mount file systems that are in memory, and this node has none", s.Function).
			WithHint("run the node as root, or as a service of systemd with Delegate=yes")
	}
	if s.Strict {
		a := r.ability()
		if err := a.Permits(&s); err != nil {
			return nil, err
		}
	}
	sb, err := r.roster.Start(s.ID, func() (*sandbox, error) { return r.start(ctx, s) }, (*sandbox).run, (*sandbox).finish)
	if err != nil {
		return nil, fmt.Errorf("start sandbox %s of function %s: %w", s.ID, s.Function, err)
	}
	if !r.groups().has("memory") {
		r.watch.Begin()
	}
	return sb, nil
}

// Close implements runner.Runner.
func (r *Runner) Close() error {
	all, first := r.roster.Close()
	for _, sb := range all {
		sb.kill()
	}
	for _, sb := range all {
		<-sb.done
	}
	if !first {
		return nil
	}
	r.watch.End()
	r.spares.close()
	r.zygote.close()
	r.sweeper.close()
	var made error
	if r.maker != nil {
		made = r.maker.Close()
	}
	if r.ranges != nil {
		r.ranges.close()
	}
	err := errors.Join(made, r.groups().removeParents(), removeRecord(filepath.Join(r.dir, parentsName)))
	if r.traces != nil && err == nil {
		err = r.traces.erase()
	}
	if err := os.Remove(r.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Debug("state directory stays", "path", r.dir, "err", err)
	}
	return err
}
