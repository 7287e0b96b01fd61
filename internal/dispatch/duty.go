package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Duty is work of another room that is done once in the whole installation: that of a partition belongs to the partition's owner.
type Duty interface {
	// Topic is whose partitions share the work out: TopicJobs, or another that no trigger can listen to.
	Topic() string
	// Keep does the work of a partition until ctx is done. After an error it is called again, after a pause; whether its last
	// commit is stored it finds in the log.
	Keep(ctx context.Context, own eventlog.Owned) error
}

// watch is a duty on one partition.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// calmAfter is how long a duty has to go well for its next error to count as the first.
const calmAfter = time.Minute

func (d *Dispatcher) watch(ctx context.Context, duty Duty, id eventlog.Partition) *watch {
	w := &watch{done: make(chan struct{})}
	ctx, w.cancel = context.WithCancel(ctx)
	own := eventlog.Owned{Partition: id, Commit: func(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
		return d.member().Commit(ctx, eventlog.Txn{Records: records, Claims: []eventlog.Partition{id}})
	}}
	go func() {
		defer close(w.done)
		for n := 0; ; n++ {
			began := time.Now()
			err := duty.Keep(ctx, own)
			if ctx.Err() != nil || errors.Is(err, eventlog.ErrFenced) {
				return
			}
			if time.Since(began) > calmAfter {
				n = 0
			}
			d.logger.Error("keep a partition's duty", "topic", id.Topic, "partition", id.ID, "duty", fmt.Sprintf("%T", duty), "err", err)
			if !pause(ctx, n) {
				return
			}
		}
	}()
	return w
}

// stop ends a duty, and says whether it has ended within the grace. One that has not goes on without its partition: its commits are refused, and a stop or
// a rebalance of all the node's partitions cannot wait for it.
func (w *watch) stop(grace time.Duration) bool {
	w.cancel()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-w.done:
		return true
	case <-t.C:
		return false
	}
}

// takeUp starts the duties of a partition, and says whether there are any. The caller holds d.mu.
func (d *Dispatcher) takeUp(ctx context.Context, id eventlog.Partition) bool {
	for _, duty := range d.duties {
		if duty.Topic() == id.Topic {
			d.watches[id] = append(d.watches[id], d.watch(ctx, duty, id))
		}
	}
	return len(d.watches[id]) > 0
}
