// Package deliver carries out roll-outs: it moves the traffic of an alias to a new version step by step, judges that version by what the
// log says of both, and moves the traffic back when a gate does not hold. It does not decide which version that is, and holds no state
// but what it has counted: the roll-out itself is in the catalog.
//
// The roll-outs are shared out over the partitions of _dalamb.jobs by the function's name. Each step is a control event that
// expects the one before it, so a step that two nodes want to take is taken once; whoever owns the partition next goes on from
// what the catalog says.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Catalog is what deliver needs of the catalog.
type Catalog interface {
	View() *catalog.View
	// Changed returns a channel that is closed when there is a newer view.
	Changed() <-chan struct{}
	// CatchUp blocks until the view has all that was decided before the call.
	CatchUp(ctx context.Context) error
	Submit(ctx context.Context, ch catalog.Change) (*catalog.View, error)
}

// Fleet is what deliver needs of fleet.
type Fleet interface {
	// Ready blocks until what is prepared of a version is ready on this node; fleet.ErrNoStart when that cannot start.
	Ready(ctx context.Context, v *function.Version) error
}

// Caller makes synchronous calls of functions; an error means that dalamb failed.
type Caller interface {
	Call(ctx context.Context, fn string, payload []byte) (*function.Result, error)
}

// Options of New. Log, Catalog, Fleet and Caller are required.
type Options struct {
	Log     eventlog.Log
	Catalog Catalog
	Fleet   Fleet
	Caller  Caller
	Logger  *slog.Logger
	Now     func() time.Time
	Every   time.Duration // how often a version is judged; 0 = a second
}

// Keeper carries out roll-outs. It is a dispatch.Duty. Safe for concurrent use.
type Keeper struct {
	o Options

	mu    sync.Mutex
	facts map[int64]*function.RolloutFacts // the newest, by the roll-out's id
}

// New checks the options.
func New(o Options) (*Keeper, error) {
	if o.Log == nil || o.Catalog == nil || o.Fleet == nil || o.Caller == nil {
		return nil, errors.New("deliver needs a log, a catalog, a fleet and a caller")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	return &Keeper{o: o, facts: map[int64]*function.RolloutFacts{}}, nil
}

// Facts are what this node knows of the step that a roll-out is in; nil when another node carries it out, or nothing is known yet.
func (k *Keeper) Facts(id int64) *function.RolloutFacts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.facts[id]
}

// know keeps what was measured last; nil forgets it.
func (k *Keeper) know(id int64, facts *function.RolloutFacts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if facts == nil {
		delete(k.facts, id)
		return
	}
	k.facts[id] = facts
}

// Topic is whose partitions share out the roll-outs.
func (k *Keeper) Topic() string { return function.TopicJobs }

// work is a roll-out that is being carried out.
type work struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Keep carries out the roll-outs of one partition until ctx is done.
func (k *Keeper) Keep(ctx context.Context, own eventlog.Owned) error {
	// By an older view than the last owner's, steps that were taken would be judged again.
	if err := k.o.Catalog.CatchUp(ctx); err != nil {
		return err
	}
	of, err := k.jobs(ctx)
	if err != nil {
		return err
	}
	under := map[int64]*work{} // by the roll-out's id
	defer func() {
		for _, w := range under {
			w.cancel()
		}
		for _, w := range under {
			<-w.done
		}
	}()
	for {
		changed := k.o.Catalog.Changed()
		active := map[int64]bool{}
		for _, r := range k.o.Catalog.View().Rollouts() {
			if !r.Active() || share(r.Function, of) != own.ID {
				continue
			}
			active[r.ID] = true
			if under[r.ID] == nil {
				under[r.ID] = k.start(ctx, r)
			}
		}
		for id, w := range under {
			if !active[id] {
				w.cancel()
				<-w.done
				delete(under, id)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// jobs is how many partitions share the roll-outs.
func (k *Keeper) jobs(ctx context.Context) (int32, error) {
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return 0, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == function.TopicJobs {
			return t.Partitions, nil
		}
	}
	return 0, fmt.Errorf("topic %s is not there", function.TopicJobs)
}

// share is the partition of _dalamb.jobs that a function's roll-outs belong to.
func share(fn string, of int32) int32 {
	h := fnv.New64a()
	h.Write([]byte(fn))
	return int32(h.Sum64() % uint64(of))
}

func (k *Keeper) start(ctx context.Context, r *catalog.Rollout) *work {
	ctx, cancel := context.WithCancel(ctx)
	w := &work{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		k.carry(ctx, r)
	}()
	return w
}
