package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Prepared is a version of which an instance is kept, or so many, or as many as another version has; of itself too: then none of those that it
// has is stopped.
type Prepared struct {
	Version, Like *function.Version
	Instances     int // 0 = 1
}

// prepare sees to what is kept for a roll-out, or because somebody said so. The caller holds mu.
func (f *Fleet) prepare(prepared []Prepared) {
	for _, p := range f.pools {
		p.prepared = 0
	}
	for _, one := range prepared {
		if one.Version.Spec.Entry.Once() {
			continue // it starts with its call
		}
		p := f.pool(one.Version)
		n := max(1, one.Instances)
		if one.Like != nil {
			if like := f.pools[keyOf(one.Like)]; like != nil {
				n = max(n, len(like.instances)-like.stopping)
			}
		}
		p.prepared = max(p.prepared, min(n, p.max))
	}
	for _, p := range f.pools {
		f.plan(p)
	}
}

// How Ready waits.
const (
	readyTries  = 3 // starts that fail, one after another
	readyGlance = 20 * time.Millisecond
)

// ErrNoStart is in the error of Ready when a version cannot start, through its own fault.
var ErrNoStart = errors.New("it does not start")

// Ready blocks until as many instances of a version are ready as are prepared on this node, or as the node has room for, and at least one, which
// has shown that the version starts. ErrNoStart when its start fails again and again.
func (f *Fleet) Ready(ctx context.Context, v *function.Version) error {
	versions, _ := f.o.Functions.Wanted()
	f.want(versions, f.o.Functions.Prepared()) // Run may not have seen yet that it is
	for failed := 0; ; {
		g := f.acquire(ctx, v, Call{})
		if g.instance != nil {
			shows := f.shows(g.instance)
			f.putBack(g.instance)
			if shows {
				break
			}
			if f.awaitShown(ctx, g.instance); ctx.Err() != nil {
				return fmt.Errorf("wait for version %d of %q: %w", v.Number, v.Function(), ctx.Err())
			}
			continue
		}
		failed++
		wait := readyGlance
		switch {
		case g.result != nil && failed >= readyTries:
			return fault.New(fault.Unavailable, "version %d of %q: %w: %s", v.Number, v.Function(), ErrNoStart, g.result.Failure.Message)
		case g.result != nil:
			wait = max(wait, g.result.RetryAfter)
		case ctx.Err() != nil || failed >= readyTries:
			return g.err
		}
		if !pause(ctx, wait) {
			return fmt.Errorf("wait for version %d of %q: %w", v.Number, v.Function(), ctx.Err())
		}
	}
	for f.preparing(v) {
		if !pause(ctx, readyGlance) {
			return fmt.Errorf("wait for version %d of %q: %w", v.Number, v.Function(), ctx.Err())
		}
	}
	return nil
}

// preparing says whether instances of a version are still to come that are prepared.
func (f *Fleet) preparing(v *function.Version) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pool(v)
	ready := len(p.instances) - p.starting - p.stopping
	return ready < p.prepared && (p.starting > 0 || f.room(p.share) > 0 && !f.closed && !f.o.Now().Before(p.until()))
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
