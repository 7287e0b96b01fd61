package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// widthsFor is how long what is known of the topics' widths is used. A topic that has grown in between has a few events without a
// key where they would have been before, which is no harm: only repeats of them may then be missed.
const widthsFor = 5 * time.Second

// widths remembers how many partitions the topics have.
type widths struct {
	log Log
	now func() time.Time

	mu     sync.Mutex
	known  map[string]int32
	looked time.Time
}

// of is the number of partitions of a topic; 0 = it is not there, or the log cannot be asked.
func (w *widths) of(ctx context.Context, topic string) int32 {
	w.mu.Lock()
	n, fresh := w.known[topic], w.now().Sub(w.looked) < widthsFor
	w.mu.Unlock()
	if n > 0 && fresh {
		return n
	}
	all, err := w.log.Topics(ctx)
	if err != nil {
		return n
	}
	known := make(map[string]int32, len(all))
	for _, t := range all {
		known[t.Name] = t.Partitions
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known, w.looked = known, w.now()
	return known[topic]
}

// spread chooses the partition of an event without a key by its source and id, so that an event that is sent again meets the first
// one: a trigger's dedupe looks at one partition.
func (w *widths) spread(ctx context.Context, topic string, e *event.Event, r *eventlog.Record) {
	if len(r.Key) > 0 {
		return
	}
	if n := w.of(ctx, topic); n > 0 {
		r.Partition = eventlog.PartitionFor([]byte(e.Source+"\x00"+e.ID), n)
	}
}
