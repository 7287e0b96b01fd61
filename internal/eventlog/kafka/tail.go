package kafka

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/eventlog"
)

const (
	// tailWait bounds a fetch at the tail, because a partition that is followed anew joins with the next one.
	tailWait = 100 * time.Millisecond
	// tailIdle is how long a partition is followed that nobody reads.
	tailIdle = 2 * time.Second
	// What all rings hold together, and the least that each may.
	tailBytes = 64 << 20
	ringBytes = 64 << 10
)

// tail is where readers wait for what comes next. Kafka answers one request of a connection at a time, so that readers who
// each waited in a fetch of their own would wait for each other: one loop for each broker fetches for all, and keeps the
// newest records of each partition in a ring for those who come a little later.
type tail struct {
	log    *Log
	client *kgo.Client

	mu    sync.Mutex
	rings map[place]*ring
	loops map[int32]bool // brokers that are followed
}

// ring holds the newest records of a partition. It is safe under tail.mu.
type ring struct {
	topic   *topic
	id      int32
	start   int64 // it holds all records from here on, up to next
	next    int64 // where the next fetch begins
	records []eventlog.Record
	bytes   int
	wake    chan struct{} // closed when something has come, or the ring has ended
	used    time.Time
	waiting int
}

func (t *tail) init(l *Log) (err error) {
	t.log, t.rings, t.loops = l, make(map[place]*ring), make(map[int32]bool)
	t.client, err = l.newClient()
	return err
}

// take returns what a ring holds from an offset on. Where it holds all up to the end and there is nothing, the channel is
// closed when that may have changed. Nothing and no channel means that the ring cannot help.
func (t *tail) take(at place, from int64, o eventlog.ReadOptions) ([]eventlog.Record, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rings[at]
	if r == nil || from < r.start {
		return nil, nil
	}
	r.used = time.Now()
	i, _ := slices.BinarySearchFunc(r.records, from, func(e eventlog.Record, from int64) int { return cmp.Compare(e.Offset, from) })
	if i == len(r.records) {
		return nil, r.wake
	}
	rs := trim(r.records[i:], o)
	return append([]eventlog.Record(nil), rs...), nil
}

// wait waits until a ring has more, or has ended. Who waits keeps the ring.
func (t *tail) wait(ctx context.Context, at place, wake <-chan struct{}) error {
	t.mu.Lock()
	r := t.rings[at]
	if r != nil {
		r.waiting++
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			r.waiting--
			r.used = time.Now()
		}()
	}
	t.mu.Unlock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// follow begins to follow a partition whose records below from are of no interest. from must not be past its end.
func (t *tail) follow(tp *topic, id int32, from int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := tp.place(id)
	if r := t.rings[at]; r != nil {
		if from >= r.start {
			return
		}
		t.drop(at, r) // it began later than this reader stands
	}
	t.rings[at] = &ring{topic: tp, id: id, start: from, next: from, wake: make(chan struct{}), used: time.Now()}
	t.lead(tp.leaders[id])
}

// lead has a broker followed. t.mu is held.
func (t *tail) lead(broker int32) {
	if !t.loops[broker] && !t.log.life.ended() {
		t.loops[broker] = true
		t.log.loops.Go(func() { t.run(broker) })
	}
}

// drop ends a ring; who waits looks anew. t.mu is held.
func (t *tail) drop(at place, r *ring) {
	close(r.wake)
	delete(t.rings, at)
}

// changed ends the rings of a topic that is not as it was.
func (t *tail) changed(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, r := range t.rings {
		if r.topic.name == name {
			t.drop(at, r)
		}
	}
}

// wants lists what is to be fetched from a broker; nothing ends its loop.
func (t *tail) wants(broker int32) []want {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ws []want
	for at, r := range t.rings {
		switch {
		case r.topic.leaders[r.id] != broker:
		case time.Since(r.used) > tailIdle && r.waiting == 0:
			t.drop(at, r)
		default:
			ws = append(ws, want{r.topic, r.id, r.next})
		}
	}
	if len(ws) == 0 {
		delete(t.loops, broker)
	}
	return ws
}

func (t *tail) run(broker int32) {
	ctx, release := t.log.life.within(context.Background())
	defer release()
	o := fetchOptions{broker: broker, wait: int32(tailWait.Milliseconds()), bytes: 16 << 20, partition: 1 << 20}
	for n := 0; ; n++ {
		ws := t.wants(broker)
		if len(ws) == 0 || ctx.Err() != nil {
			return
		}
		out, err := t.log.fetch(ctx, t.client, o, ws)
		if err != nil {
			if ctx.Err() != nil || pause(ctx, n) != nil {
				return
			}
			t.log.meet(ctx, t.client)
			t.relocate(ctx, ws)
			continue
		}
		n = -1
		var moved []want
		for i, f := range out {
			if !t.keep(ws[i], f) {
				moved = append(moved, ws[i])
			}
		}
		if len(moved) > 0 {
			if pause(ctx, 3) != nil {
				return
			}
			t.relocate(ctx, moved)
		}
	}
}

// keep puts what was fetched into its ring. It returns false where the broker does not lead the partition any more.
func (t *tail) keep(w want, f fetched) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := w.topic.place(w.id)
	r := t.rings[at]
	if r == nil || r.next != w.from {
		return true // it has ended, or begun anew, since
	}
	switch {
	case errors.Is(f.err, kerr.OffsetOutOfRange):
		t.drop(at, r) // retention has passed it: its readers look where the partition begins
		return true
	case f.err != nil:
		return false
	}
	r.next = f.next
	if len(f.records) == 0 {
		return true
	}
	r.records = append(r.records, f.records...)
	for i := range f.records {
		r.bytes += memory(&f.records[i])
	}
	r.forget(max(ringBytes, tailBytes/len(t.rings)))
	close(r.wake)
	r.wake = make(chan struct{})
	return true
}

// forget lets the oldest records go, down to a number of bytes.
func (r *ring) forget(most int) {
	n := 0
	for r.bytes > most && n < len(r.records)-1 {
		r.bytes -= memory(&r.records[n])
		n++
	}
	if n > 0 {
		r.start = r.records[n-1].Offset + 1
		r.records = append([]eventlog.Record(nil), r.records[n:]...)
	}
}

// memory is about what a record takes in memory.
func memory(r *eventlog.Record) int { return 160 + recordSize(r) }

// relocate asks where partitions are led now. Rings of topics that are gone end.
func (t *tail) relocate(ctx context.Context, ws []want) {
	asked := make(map[string]*topic)
	for _, w := range ws {
		now, ok := asked[w.topic.name]
		if !ok {
			var err error
			asking, cancel := context.WithTimeout(ctx, patience)
			now, err = t.log.refresh(asking, w.topic.name)
			cancel()
			if err != nil && !gone(err) {
				return
			}
			asked[w.topic.name] = now
		}
		t.mu.Lock()
		at := w.topic.place(w.id)
		if r := t.rings[at]; r != nil {
			if now == nil || now.id != r.topic.id {
				t.drop(at, r)
			} else {
				r.topic = now
				t.lead(now.leaders[r.id])
			}
		}
		t.mu.Unlock()
	}
}
