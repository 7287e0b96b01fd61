// Package process runs functions as plain child processes: for machines that cannot fence, and only when asked for by name.
// It isolates nothing; it does see to it that a function's whole process tree ends, and watches its size.
package process

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

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// Options are what a Runner is made from.
type Options struct {
	StateDir string        // where sandboxes keep their /tmp and records; made when missing
	Log      *slog.Logger  // nil = none
	Poll     time.Duration // how often the sizes of functions are looked at; 0 = 200ms
}

// Runner implements runner.Runner.
type Runner struct {
	dir    string // absolute
	mark   string // tells this state directory's processes from others'
	log    *slog.Logger
	poll   time.Duration
	forker *forker

	mu     sync.Mutex
	closed bool
	live   map[string]*sandbox // by Spec.ID; nil while it is being made
	stop   chan struct{}       // ends the watch; nil when none is running
	watch  sync.WaitGroup
	starts sync.WaitGroup
}

// New makes a runner. It starts nothing.
func New(o Options) (*Runner, error) {
	if o.StateDir == "" {
		return nil, fault.New(fault.Invalid, "the process runner has no state directory")
	}
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return nil, fmt.Errorf("find state directory %s: %w", o.StateDir, err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Poll == 0 {
		o.Poll = 200 * time.Millisecond
	}
	sum := sha256.Sum256([]byte(dir))
	return &Runner{
		dir: dir, mark: hex.EncodeToString(sum[:6]), log: o.Log, poll: o.Poll,
		forker: newForker(), live: make(map[string]*sandbox),
	}, nil
}

// Name implements runner.Runner.
func (r *Runner) Name() string { return "process" }

// Check implements runner.Runner.
func (r *Runner) Check(context.Context) (runner.Ability, error) {
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return runner.Ability{}, fault.New(fault.Unavailable, "make state directory: %w", err).
			WithHint("choose a data directory that you may write to")
	}
	notes := []string{
		"Functions are not isolated: they can read and change what this user can.",
		"Memory and processes are looked at from time to time, and a function over its limit is killed: best effort.",
		"CPU and the size of TMPDIR are not limited.",
	}
	return runner.Ability{Notes: append(notes, platformNotes...)}, nil
}

// Start implements runner.Runner.
func (r *Runner) Start(ctx context.Context, s runner.Spec) (runner.Sandbox, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := r.reserve(s.ID); err != nil {
		return nil, err
	}
	defer r.starts.Done()
	sb, err := r.start(ctx, s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		delete(r.live, s.ID)
		return nil, err
	}
	r.live[s.ID] = sb
	go func() {
		sb.run()
		r.mu.Lock()
		delete(r.live, s.ID)
		r.mu.Unlock()
		close(sb.done)
	}()
	if r.stop == nil {
		r.stop = make(chan struct{})
		r.watch.Go(func() { r.watchSizes(r.stop) })
	}
	return sb, nil
}

func (r *Runner) reserve(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fault.New(fault.Unavailable, "start sandbox %s: the runner is closed", id)
	}
	if _, taken := r.live[id]; taken {
		return fault.New(fault.Conflict, "start sandbox %s: there is one of this id", id)
	}
	r.live[id] = nil
	r.starts.Add(1)
	return nil
}

// sandboxes returns those that run.
func (r *Runner) sandboxes() []*sandbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*sandbox
	for _, sb := range r.live {
		if sb != nil {
			all = append(all, sb)
		}
	}
	return all
}

// Close implements runner.Runner.
func (r *Runner) Close() error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	r.starts.Wait()
	all := r.sandboxes()
	for _, sb := range all {
		go sb.Stop(0)
	}
	for _, sb := range all {
		<-sb.done
	}
	if !first {
		return nil
	}
	r.mu.Lock()
	stop := r.stop
	r.mu.Unlock()
	if stop != nil {
		close(stop)
	}
	r.watch.Wait()
	r.forker.close()
	if err := os.Remove(r.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Debug("state directory stays", "path", r.dir, "err", err)
	}
	return nil
}
