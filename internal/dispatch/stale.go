package dispatch

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what one lane remembers for stale: drop.
const (
	staleKeys     = 1 << 16 // keys; past it those are forgotten of which nothing has run for the longest time, and that is counted
	staleSequence = 256     // bytes; an event with a longer sequence is neither dropped nor remembered
)

// newestRecord is the newest event of one key that a trigger has run. It commits with the end of that run.
type newestRecord struct {
	sequence string    // the greatest; "" = no event had one
	time     time.Time // the latest, of events without a sequence; zero = there was none
}

func (r newestRecord) encode() []byte {
	b := append(make([]byte, 0, 32), progressFormat)
	at := int64(0)
	if !r.time.IsZero() {
		at = max(1, r.time.UnixMicro())
	}
	b = binary.AppendUvarint(b, uint64(at))
	return append(b, r.sequence...)
}

func decodeNewest(value []byte) (newestRecord, error) {
	d := newProgressReader(value)
	var r newestRecord
	if at := d.number(); at > 0 {
		r.time = time.UnixMicro(at)
	}
	r.sequence = string(d.rest())
	if len(r.sequence) > staleSequence {
		d.fail("a sequence of %d bytes", len(r.sequence))
	}
	return r, d.err
}

// stale says whether an event is older than what has been run. An event with a sequence is compared by that alone.
func (r newestRecord) stale(e *event.Event) bool {
	if s := e.Extension(event.ExtSequence); s != "" {
		return len(s) <= staleSequence && s < r.sequence
	}
	return !e.Time.IsZero() && e.Time.Truncate(time.Microsecond).Before(r.time)
}

// with is r after an event has been run.
func (r newestRecord) with(e *event.Event) newestRecord {
	switch s := e.Extension(event.ExtSequence); {
	case len(s) > staleSequence:
	case s != "":
		r.sequence = max(r.sequence, s)
	case e.Time.After(r.time):
		r.time = e.Time.Truncate(time.Microsecond)
	}
	return r
}

// newest is what a lane has run of each key. Stages look, the actor notes.
type newest struct {
	most int

	mu    sync.Mutex
	of    map[int64]*list.Element // by stableHash; of *keyNewest
	order *list.List              // what has moved last is at the back
}

type keyNewest struct {
	key    int64
	record newestRecord
}

func newNewest(most int) *newest {
	return &newest{most: most, of: map[int64]*list.Element{}, order: list.New()}
}

// stableHash names a key in the log: the same on every node, and nobody can choose two keys that share one.
func stableHash(key string) int64 {
	sum := sha256.Sum256([]byte(key))
	return int64(binary.BigEndian.Uint64(sum[:]) & math.MaxInt64)
}

// get is what is known of a key.
func (n *newest) get(key int64) newestRecord {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := n.of[key]; at != nil {
		return at.Value.(*keyNewest).record
	}
	return newestRecord{}
}

// set notes what is known of a key. It returns the key that has to be forgotten for it, if there is one.
func (n *newest) set(key int64, r newestRecord) (forgotten int64, full bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at := n.of[key]; at != nil {
		at.Value.(*keyNewest).record = r
		n.order.MoveToBack(at)
		return 0, false
	}
	n.of[key] = n.order.PushBack(&keyNewest{key, r})
	if len(n.of) <= n.most {
		return 0, false
	}
	oldest := n.order.Remove(n.order.Front()).(*keyNewest)
	delete(n.of, oldest.key)
	return oldest.key, true
}

func (n *newest) keys() []int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	keys := make([]int64, 0, len(n.of))
	for key := range n.of {
		keys = append(keys, key)
	}
	return keys
}

func (n *newest) empty() bool {
	if n == nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.of) == 0
}

// setStale gives the lane what its trigger's rule needs, or takes what it needed before out of the log.
func (l *lane) setStale() {
	switch wanted := l.t.Stale == function.StaleDrop && l.t.Replay == nil && !l.removed; {
	case wanted && l.newest == nil:
		l.newest = newNewest(l.p.d.stale)
	case !wanted && l.newest != nil:
		l.p.forgetNewest(l.uid(), l.newest.keys())
		l.newest = nil
	}
}

func (p *partition) forgetNewest(trigger int64, keys []int64) {
	for _, key := range keys {
		p.push(item{records: one(p.keys.record(p.keys.newest(trigger, key), nil))})
	}
}

// ran notes the events that an invocation has run, and returns what the log has to know of that.
func (l *lane) ran(w *work) (records []eventlog.Record) {
	if l.newest == nil {
		return nil
	}
	w.each(func(w *work) {
		if w.state != function.RunSucceeded || w.newest != l.newest || w.cause == nil || w.cause.Key() == "" {
			return
		}
		key := stableHash(w.cause.Key())
		r := l.newest.get(key).with(w.cause)
		if r == (newestRecord{}) {
			return
		}
		records = append(records, l.p.keys.record(l.p.keys.newest(l.uid(), key), r.encode()))
		if forgotten, full := l.newest.set(key, r); full {
			l.p.d.metrics.forgotten(l.t, ruleStale)
			records = append(records, l.p.keys.record(l.p.keys.newest(l.uid(), forgotten), nil))
		}
	})
	return records
}

// recallNewest gives the lanes what the log knows of the events that they have run.
func (p *partition) recallNewest(pl *plan, known map[int64]map[int64]newestRecord) {
	for uid, records := range known {
		t := p.known(pl, uid)
		l := p.lanes[uid]
		if t != nil && l == nil {
			l = p.newLane(t)
		}
		for key, r := range records {
			if t == nil || l.newest == nil {
				p.forgetNewest(uid, []int64{key})
			} else if forgotten, full := l.newest.set(key, r); full {
				p.forgetNewest(uid, []int64{forgotten})
			}
		}
	}
}

// stale ends runs of events that are older than the newest of their key that has been run.
type stale struct{}

func (stale) do(_ context.Context, w *work) error {
	if w.settled() || w.newest == nil || w.cause.Key() == "" {
		return nil
	}
	if w.newest.get(stableHash(w.cause.Key())).stale(w.cause) {
		w.rule = ruleStale
		w.settle(function.RunDiscarded, "stale: a newer event of its key has been run")
	}
	return nil
}
