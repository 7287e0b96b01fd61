package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	groupBytes  = 512 << 10 // a group takes no more requests past this
	groupsAhead = 4         // groups applied and not yet acknowledged
)

// change is one call that wants to alter the log.
type change interface {
	// build checks the call against the log as it will stand after all earlier changes and adds its rows to the group.
	// It runs on the committer. After an error nothing of the change may be in the group or in the committer's state.
	build(g *group) error
	// publish makes a durable change visible. It runs under Log.view, in the order of the builds, and does not block.
	publish()
	// alone says that no other change may be under way: this one alters what other builds look at.
	alone() bool
	// size is about how many bytes the change adds.
	size() int
}

// request is a change on its way through the queue.
type request struct {
	change change
	taken  atomic.Bool // by the committer, or by a caller that gave up
	done   chan error  // takes one answer
}

// group is what one fsync makes durable.
type group struct {
	batch    *pebble.Batch
	requests []*request
	touched  []reach
	wakes    []chan struct{}
	records  int
	bytes    int
	once     map[onceRow]eventlog.Position // identities that this group stores
	begun    time.Time
}

// reach is a partition and its end after the group.
type reach struct {
	p     *partition
	end   int64
	bytes int64
}

// touch notes that the group adds to p.
func (g *group) touch(p *partition) {
	if p.inGroup != g {
		p.inGroup = g
		g.touched = append(g.touched, reach{p: p})
	}
}

// queue holds the requests that no group has taken yet.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	closed  error

	ready chan struct{} // holds a token when there may be something to take
}

func (q *queue) put(r *request) error {
	q.mu.Lock()
	if q.closed != nil {
		q.mu.Unlock()
		return q.closed
	}
	q.waiting = append(q.waiting, r)
	first := len(q.waiting) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return nil
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// close lets no more in. What is waiting is still taken.
func (q *queue) close(err error) {
	q.mu.Lock()
	if q.closed == nil {
		q.closed = err
	}
	q.mu.Unlock()
	q.signal()
}

// take blocks until there are requests and returns those of the next group: either one that is alone, or as many as
// stand together up to groupBytes. It returns none when the queue is closed and empty.
func (q *queue) take() []*request {
	for {
		q.mu.Lock()
		if n := together(q.waiting); n > 0 {
			rs := q.waiting[:n:n]
			q.waiting = q.waiting[n:]
			if len(q.waiting) == 0 {
				q.waiting = nil
			} else {
				defer q.signal()
			}
			q.mu.Unlock()
			return rs
		}
		closed := q.closed != nil
		q.mu.Unlock()
		if closed {
			return nil
		}
		<-q.ready
	}
}

func together(rs []*request) int {
	bytes := 0
	for i, r := range rs {
		if r.change.alone() {
			return max(i, 1)
		}
		if bytes += r.change.size(); bytes > groupBytes {
			return i + 1
		}
	}
	return len(rs)
}

// do sends a change through the queue and waits until it is durable and visible. When it returns before that, with the
// error of ctx or because the disk is full, nothing of the caller's memory is used any more.
func (l *Log) do(ctx context.Context, c change) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write to the log: %w", context.Cause(ctx))
	}
	if err := l.failure(); err != nil {
		return err
	}
	l.room.begin(c.size())
	defer l.room.end(c.size())
	w, ok := c.(*write)
	ordinary := ok && w.ordinary
	if ordinary {
		if err := l.admit(); err != nil {
			return err
		}
	}
	r := &request{change: c, done: make(chan error, 1)}
	if err := l.queue.put(r); err != nil {
		return err
	}
	full, late := l.guard.full(), (<-chan time.Time)(nil)
	for {
		select {
		case err := <-r.done:
			return err
		case <-ctx.Done():
			return l.giveUp(r, fmt.Errorf("write to the log: %w", context.Cause(ctx)))
		case <-l.failed:
			return l.giveUp(r, l.failure())
		case <-full:
			if ordinary {
				return l.giveUp(r, errDiskFull(nil))
			}
			// Only some files may wait for room, and this change may be what makes it.
			full, late = nil, time.After(fullPatience)
		case <-late:
			if l.guard.isFull() {
				return l.giveUp(r, errDiskFull(nil))
			}
			full, late = l.guard.full(), nil
		}
	}
}

// giveUp takes a request back with an error, or returns the answer that it has already.
func (l *Log) giveUp(r *request, err error) error {
	if r.taken.CompareAndSwap(false, true) {
		return err
	}
	// The committer has it. Where it has an answer already, that is the answer; else it may still be reading the
	// caller's records, which it does under buildMu alone.
	l.buildMu.Lock()
	defer l.buildMu.Unlock()
	select {
	case err = <-r.done:
	default:
	}
	return err
}

// How long a write that the reserve is for waits on a disk that is full to the last byte.
const fullPatience = 2 * time.Second

// commitLoop is the committer: it turns the queue into groups until the queue is closed and empty.
func (l *Log) commitLoop() {
	defer close(l.groupsDone)
	for {
		// The slot first: while all groups are under way the queue gathers, and the next group gets larger.
		l.slots <- struct{}{}
		rs := l.queue.take()
		if rs == nil {
			return
		}
		if rs[0].change.alone() {
			for range groupsAhead - 1 {
				l.slots <- struct{}{}
			}
			g := l.build(rs)
			l.finish(g, l.apply(g))
			for range groupsAhead {
				<-l.slots
			}
			continue
		}
		g := l.build(rs)
		if err := l.apply(g); err != nil {
			l.fail(err)
		}
		l.groupsDone <- g
	}
}

// ackLoop is the acknowledger: it waits for each group's fsync, in order, and tells everybody.
func (l *Log) ackLoop() {
	for g := range l.groupsDone {
		l.finish(g, nil)
		<-l.slots
	}
}

// build makes a group of requests. A request that is refused is answered here.
func (l *Log) build(rs []*request) *group {
	l.buildMu.Lock()
	defer l.buildMu.Unlock()
	size := 0
	for _, r := range rs {
		size += r.change.size()
	}
	g := &group{batch: l.db.NewBatchWithSize(size + size/8 + 128), requests: make([]*request, 0, len(rs)), begun: time.Now()}
	failure := l.failure()
	for _, r := range rs {
		if !r.taken.CompareAndSwap(false, true) {
			continue
		}
		err := failure
		if err == nil {
			err = r.change.build(g)
		}
		if err != nil {
			r.done <- err
			continue
		}
		g.requests = append(g.requests, r)
	}
	for i := range g.touched {
		t := &g.touched[i]
		if p := t.p; p.sinceBytes >= stateEveryBytes || p.sinceCount >= stateEveryRecords {
			p.saveState(g)
		}
		t.end, t.bytes = t.p.w.next, t.p.w.bytes
	}
	return g
}

// apply hands a group to Pebble, which starts the fsync. A panic of Pebble's becomes an error.
func (l *Log) apply(g *group) (err error) {
	if g.batch.Empty() {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			l.wedge(fmt.Errorf("pebble: %v", p))
			err = l.failure()
		}
	}()
	return l.db.ApplyNoSyncWait(g.batch, pebble.Sync)
}

// finish waits for the fsync of an applied group, publishes it and answers its callers.
func (l *Log) finish(g *group, err error) {
	if err != nil {
		l.fail(err)
	}
	if l.failure() == nil && !g.batch.Empty() {
		if err := g.batch.SyncWait(); err != nil {
			l.fail(err)
		}
	}
	// The guard tells Pebble that all is well when a write-ahead log cannot be written, so SyncWait alone proves nothing.
	if err := l.guard.failure(); err != nil {
		l.fail(err)
	}
	if err := l.failure(); err != nil {
		for _, r := range g.requests {
			r.done <- err
		}
		return
	}
	l.view.Lock()
	for _, t := range g.touched {
		t.p.end = t.end
		if t.p.waited.Swap(false) {
			g.wakes = append(g.wakes, t.p.wake)
			t.p.wake = make(chan struct{})
		}
		t.p.bytes.Store(t.bytes)
	}
	for _, r := range g.requests {
		r.change.publish()
	}
	l.view.Unlock()
	for _, w := range g.wakes {
		close(w)
	}
	for _, r := range g.requests {
		r.done <- nil
	}
	l.metrics.group(g, time.Since(g.begun))
	if err := g.batch.Close(); err != nil {
		l.log.Error("close batch", "err", err)
	}
}

// saveState writes the partition's state row into the group.
func (p *partition) saveState(g *group) {
	p.sinceBytes, p.sinceCount = 0, 0
	// Set fails on a closed or oversized batch alone, and it panics then.
	_ = g.batch.Set(stateKey(p.topic.number, uint32(p.id)), p.w.encode(), nil)
}

func errDiskFull(cause error) error {
	if cause == nil {
		cause = errors.New("no space left")
	}
	return fault.New(fault.Unavailable, "disk full: the event log takes no more events: %w", cause).
		WithHint("make room on the disk; the log goes on by itself")
}
