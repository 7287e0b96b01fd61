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
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/tree"
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
	forker *forker

	roster runner.Roster[sandbox]
	watch  tree.Watch
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
	r := &Runner{dir: dir, mark: hex.EncodeToString(sum[:6]), log: o.Log, forker: newForker()}
	r.watch.Every, r.watch.Log, r.watch.Measure = o.Poll, o.Log, r.measures
	return r, nil
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
	if err := s.WithoutRoot(r.Name()); err != nil {
		return nil, err
	}
	if err := s.WithoutFiles(r.Name()); err != nil {
		return nil, err
	}
	if err := s.WithoutMounts(r.Name()); err != nil {
		return nil, err
	}
	if err := s.WithoutCalls(r.Name()); err != nil {
		return nil, err
	}
	if err := new(runner.Ability).Permits(&s); err != nil {
		return nil, err
	}
	sb, err := r.roster.Start(s.ID, func() (*sandbox, error) { return r.start(ctx, s) }, (*sandbox).run, (*sandbox).finish)
	if err != nil {
		return nil, err
	}
	r.watch.Begin()
	return sb, nil
}

// Close implements runner.Runner.
func (r *Runner) Close() error {
	all, first := r.roster.Close()
	for _, sb := range all {
		go sb.Stop(0)
	}
	for _, sb := range all {
		<-sb.done
	}
	if !first {
		return nil
	}
	r.watch.End()
	r.forker.close()
	if err := os.Remove(r.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Debug("state directory stays", "path", r.dir, "err", err)
	}
	return nil
}
