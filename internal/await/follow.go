package await

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// follow is a topic that is read for those who wait there.
type follow struct {
	f      *Follower
	topic  string
	id     string        // of the topic: one of that name that comes later is another
	ready  chan struct{} // closed when it is known where reading begins
	failed error         // why it does not; set before ready is closed
	gone   chan struct{} // closed when the topic is
	lost   sync.Once

	reading sync.Mutex // held while readers changes
	readers []*reader

	// Of the Follower's mutex:
	waits map[string]map[*Wait]bool // by the id that is waited for
	left  time.Time                 // when the last one went
}

// add is called with the Follower's mutex held, as remove is.
func (t *follow) add(w *Wait) {
	if t.waits[w.want.ID] == nil {
		t.waits[w.want.ID] = map[*Wait]bool{}
	}
	t.waits[w.want.ID][w] = true
}

func (t *follow) remove(w *Wait) {
	delete(t.waits[w.want.ID], w)
	if len(t.waits[w.want.ID]) == 0 {
		delete(t.waits, w.want.ID)
	}
	t.left = time.Now()
}

// begin finds the ends of the topic and hands it to Run. Others may wait for it by now, so it does not end with the client that came first.
func (t *follow) begin(ctx context.Context) {
	defer close(t.ready)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beginTime)
	defer cancel()
	if _, t.failed = t.survey(ctx); t.failed == nil {
		select {
		case t.f.begun <- t:
			return
		case <-t.f.ended:
			t.failed = errEnded
		case <-ctx.Done():
			t.failed = ctx.Err()
		}
	}
	t.f.drop(t, true)
}

// survey makes readers of the partitions that have none: the first time from their ends on, later from the beginning, since they are new then.
func (t *follow) survey(ctx context.Context) (fresh []*reader, err error) {
	topics, err := t.f.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	i := slices.IndexFunc(topics, func(have eventlog.Topic) bool { return have.Name == t.topic })
	if i < 0 || t.id != "" && topics[i].ID != t.id {
		return nil, eventlog.NoTopic(t.topic)
	}
	have := t.readersNow()
	first := len(have) == 0
	for id := int32(len(have)); id < topics[i].Partitions; id++ {
		r := &reader{t: t, partition: eventlog.Partition{Topic: t.topic, ID: id}}
		if first {
			b, err := t.f.log.Bounds(ctx, r.partition)
			if err != nil {
				return nil, fmt.Errorf("read the bounds of %s/%d: %w", t.topic, id, err)
			}
			r.next.Store(b.End)
		}
		fresh = append(fresh, r)
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	if first {
		t.id = topics[i].ID
	}
	t.readers = append(t.readers, fresh...)
	return fresh, nil
}

func (t *follow) readersNow() []*reader {
	t.reading.Lock()
	defer t.reading.Unlock()
	return slices.Clone(t.readers)
}

// run reads until nobody has waited for long, the topic is gone, or ctx is done.
func (t *follow) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer cancel()
		tick := time.NewTicker(t.f.survey)
		defer tick.Stop()
		for fresh := t.readersNow(); ; {
			for _, r := range fresh {
				g.Go(func() error { return r.run(ctx) })
			}
			select {
			case <-tick.C:
			case <-t.gone:
				return nil
			case <-ctx.Done():
				return nil
			}
			if t.f.drop(t, false) {
				return nil
			}
			var err error
			if fresh, err = t.survey(ctx); err != nil && ctx.Err() == nil && fault.KindOf(err) != fault.NotFound { // of one that is gone the readers tell
				t.f.logger.Warn("new partitions are not looked for while the log is away", "topic", t.topic, "err", err)
			}
		}
	})
	return g.Wait()
}

// lose is called when the topic is gone. Those who wait hear nothing any more; who comes later waits in the one that has its name then.
func (t *follow) lose() {
	t.f.drop(t, true)
	t.lost.Do(func() { close(t.gone) })
}

// offer tells those who wait of records.
func (t *follow) offer(records []eventlog.Record) {
	ids := make([]string, len(records))
	for i := range records {
		ids[i] = threadOf(&records[i])
	}
	type hit struct {
		record *eventlog.Record
		wait   *Wait
	}
	var hits []hit
	t.f.mu.Lock()
	for i, id := range ids {
		if id == "" {
			continue
		}
		for w := range t.waits[id] {
			hits = append(hits, hit{&records[i], w})
		}
	}
	t.f.mu.Unlock()
	for _, h := range hits {
		h.wait.hear(h.record)
	}
}

// reader reads one partition.
type reader struct {
	t         *follow
	partition eventlog.Partition
	next      atomic.Int64 // all before it has been offered
}

func (r *reader) run(ctx context.Context) error {
	for {
		records, err := r.t.f.log.Read(ctx, r.partition, r.next.Load(), eventlog.ReadOptions{TopicID: r.t.id})
		switch {
		case ctx.Err() != nil:
			return nil
		case fault.KindOf(err) == fault.NotFound:
			r.t.lose()
			return nil
		case err != nil && !eventlog.Passing(err):
			return fmt.Errorf("read %s/%d: %w", r.partition.Topic, r.partition.ID, err)
		case err != nil:
			select {
			case <-time.After(awayWait):
			case <-ctx.Done():
			}
			continue
		}
		r.t.offer(records)
		r.next.Store(records[len(records)-1].Offset + 1)
	}
}
