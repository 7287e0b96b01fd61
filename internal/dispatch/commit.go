package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of one transaction, of what waits for one before no more is started, and how long mere movement of the scan waits.
const (
	commitItems  = 2048
	commitBytes  = 4 << 20
	unflushedMax = 16 << 20
	lazily       = time.Second
)

// item is something that the next commit has to store.
type item struct {
	entry   *entry // nil: records and nothing more
	work    *work  // the outcome of an attempt; nil for a mark
	begins  bool   // a mark: the attempt may begin when this is stored
	records []eventlog.Record
	bytes   int64
	refused bool // the log did not take the outcome as it was; this is the dead letter in its place
}

func (it *item) measure() {
	it.bytes = 0
	for i := range it.records {
		it.bytes += recordSize(&it.records[i])
	}
}

// txn is a transaction under way, with all that it is about.
type txn struct {
	log   eventlog.Txn
	items []item
	lanes []*lane
	scan  scanRecord
	after int64 // the scan record will stand in the progress partition at this offset or later
	final bool
}

// flush starts a commit when there is something to commit and none is under way.
func (p *partition) flush(sc scope) {
	now := p.d.now()
	switch {
	case p.committing, p.lost:
		return
	case p.leaving() && !p.moved && !p.opened && !p.wantOpen:
		p.left = true // the log says all there is to say
		return
	case p.items.len() > 0, p.wantOpen && !p.opened, p.leaving():
	case p.moved && !now.Before(p.lazyAt):
	default:
		return
	}
	t := p.gather()
	p.committing, p.moved = true, false
	p.lazyAt = now.Add(lazily)
	p.helpers.Go(func() {
		began := time.Now()
		positions, err := p.store(sc.life, t)
		p.d.metrics.committed(time.Since(began), len(t.items), err)
		p.box.post(&committed{t: t, positions: positions, err: err})
	})
}

// settled notes of every entry of an outcome whether its end is in the log or in the commit under way.
func (it *item) settled(is bool) {
	i := 0
	it.entry.each(func(e *entry) {
		w := it.work
		if w.batch != nil {
			w = w.batch[i]
		}
		i++
		if w.final() {
			e.settled = is
			e.lane.touch()
		}
	})
}

// gather builds the transaction: outcomes, the records of the lanes that have changed, and where the scan stands.
func (p *partition) gather() *txn {
	t := &txn{after: p.progressEnd, final: p.leaving()}
	size, most := int64(0), commitItems
	if p.oneByOne > 0 {
		p.oneByOne--
		most = 1
	}
	for p.items.len() > 0 && len(t.items) < most && size < commitBytes {
		it := p.items.pop()
		size += it.bytes
		t.items = append(t.items, it)
		t.log.Records = append(t.log.Records, it.records...)
		if it.work != nil && it.entry != nil {
			it.settled(true)
			t.log.Records = append(t.log.Records, it.entry.lane.ran(it.work)...)
		}
	}
	t.lanes, p.dirty = p.dirty, nil
	for _, l := range t.lanes {
		l.dirty = false
		value := l.record()
		if value != nil || l.stored {
			t.log.Records = append(t.log.Records, p.keys.record(p.keys.lane(l.uid()), value))
		}
		l.stored = value != nil
		if r := l.farewell(); r != nil {
			t.log.Records = append(t.log.Records, *r)
		}
	}
	p.commits++
	t.scan = scanRecord{
		position: p.scan, control: p.control, commit: p.commits, life: p.life,
		clean: t.final || !p.opened && !p.wantOpen,
	}
	t.log.Records = append(t.log.Records, p.keys.record(p.keys.scan(), t.scan.encode()))
	t.log.Claims = []eventlog.Partition{p.id}
	return t
}

// store commits t, again and again while the log is out of order. Its error is final. A commit whose end is not known is looked up
// before it is repeated, so that nothing is stored twice.
func (p *partition) store(ctx context.Context, t *txn) ([]eventlog.Position, error) {
	for n := 0; ; n++ {
		positions, err := p.d.member().Commit(ctx, t.log)
		switch fault.KindOf(err) {
		case fault.NotFound, fault.TooLarge, fault.Invalid, fault.Denied, fault.Conflict:
			return nil, err
		}
		if err == nil {
			return positions, nil
		}
		if n == 0 && ctx.Err() == nil {
			p.d.logger.Error("commit of progress", "topic", p.id.Topic, "partition", p.id.ID, "err", err)
		}
		for {
			if !pause(ctx, n) {
				return nil, err
			}
			found, lookErr := p.stored(ctx, t)
			if lookErr != nil {
				n++
				continue
			}
			if found != nil {
				return []eventlog.Position{*found}, nil
			}
			break
		}
	}
}

// stored looks for the scan record of t in the log.
func (p *partition) stored(ctx context.Context, t *txn) (*eventlog.Position, error) {
	place := eventlog.Partition{Topic: function.TopicProgress, ID: p.id.ID}
	for from := t.after; ; {
		rs, err := p.d.log.Read(ctx, place, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return nil, fmt.Errorf("look for a commit: %w", err)
		}
		if len(rs) == 0 {
			return nil, nil
		}
		for _, r := range rs {
			if !bytes.Equal(r.Key, []byte(p.keys.scan())) {
				continue
			}
			if s, err := decodeScan(r.Value); err == nil && s.life == t.scan.life && s.commit >= t.scan.commit {
				return &eventlog.Position{Topic: place.Topic, Partition: place.ID, Offset: r.Offset}, nil
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
}

// pause waits before try n is repeated: exponentially to 5 s, with jitter. It returns false when ctx is done.
func pause(ctx context.Context, n int) bool {
	bound := min(5*time.Second, 20*time.Millisecond<<min(n, 10))
	t := time.NewTimer(bound/2 + rand.N(bound/2))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// committed is the end of a commit.
type committed struct {
	t         *txn
	positions []eventlog.Position
	err       error
}

func (m *committed) apply(sc scope, p *partition) {
	p.committing = false
	switch {
	case m.err == nil:
		p.keep(sc, m.t, m.positions)
	case errors.Is(m.err, eventlog.ErrFenced):
		p.lose()
	case sc.life.Err() != nil:
		p.lose()
	default:
		p.mend(m.t, m.err)
	}
}

// keep takes note of what is stored now.
func (p *partition) keep(sc scope, t *txn, positions []eventlog.Position) {
	if n := len(positions); n > 0 && positions[n-1].Topic == function.TopicProgress {
		p.progressEnd = positions[n-1].Offset + 1
	}
	p.opened = p.opened || !t.scan.clean
	p.left = t.final
	for i := range t.items {
		it := &t.items[i]
		p.unflushed -= it.bytes
		e := it.entry
		switch {
		case e == nil && it.work != nil:
			p.d.settled(it.work)
		case e == nil:
		case it.work != nil && it.work.batch != nil:
			p.settleBatch(e, it.work)
		case it.work != nil:
			p.settle(e, it.work)
		case it.begins:
			p.begin(sc, e)
		}
	}
	for _, l := range t.lanes {
		if l.idle() {
			delete(p.lanes, l.uid())
		}
	}
}

// settle does what follows from an outcome that is stored: the run is over, or it waits for its next attempt.
func (p *partition) settle(e *entry, w *work) {
	p.d.settled(w)
	if w.final() {
		e.lane.finish(e)
		return
	}
	p.carryOn(e, w)
	if e.lane.removed {
		e.lane.discard(e)
		return
	}
	e.lane.enable(e)
}

// carryOn takes note of an attempt after which there will be another.
func (p *partition) carryOn(e *entry, w *work) {
	e.due, e.marked, e.suspect = w.due, false, false
	if w.held {
		e.stored = len(e.attempts) > 0
		return
	}
	e.attempts, e.stored = w.attempts(), true
	size := attemptSize(&w.attempt)
	e.held += size
	e.lane.bytes += size
	p.d.budget.force(size)
}

func attemptSize(a *function.Attempt) int64 {
	n := int64(256)
	if a.Failure != nil {
		n += int64(len(a.Failure.Message) + len(a.Failure.Trace))
	}
	return n
}

// mend finds what the log will not take of a transaction: first it tries outcome by outcome, and the one that is refused alone
// becomes a dead letter, without the events that the function emitted.
func (p *partition) mend(t *txn, err error) {
	for _, l := range t.lanes {
		l.stored = true // it may be: a tombstone too many does no harm
		l.told = false
		l.touch()
	}
	p.moved = true
	for i := len(t.items) - 1; i >= 0; i-- {
		it := t.items[i]
		if it.work != nil && it.entry != nil {
			it.settled(false)
		}
		p.items.unpop(it)
	}
	if len(t.items) > 1 {
		p.oneByOne = len(t.items)
		return
	}
	if len(t.items) == 1 && t.items[0].blamed(err) {
		it := p.items.pop()
		instead := p.refused(it, err)
		p.unflushed += instead.bytes - it.bytes
		p.items.unpop(instead)
		return
	}
	p.d.logger.Error("the log refuses progress; this partition waits", "topic", p.id.Topic, "partition", p.id.ID, "err", err)
	p.holdUntil = p.d.now().Add(5 * time.Second)
}

// blamed says whether an outcome, committed alone, is what the log will not take.
func (it *item) blamed(err error) bool {
	if it.work == nil || it.refused {
		return false
	}
	told := len(it.work.outputs) > 0
	it.work.each(func(w *work) { told = told || w.sent != nil })
	return told || fault.KindOf(err) == fault.TooLarge
}

// refused makes the dead letter of an outcome that the log would not take.
func (p *partition) refused(it item, err error) item {
	w := it.work
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.New(fault.KindOf(err), "%w", err)
	}
	if f.Kind == fault.NotFound {
		p.d.topics.forget()
	}
	if f.Kind == fault.NotFound && p.unsent(w) {
		again := item{entry: it.entry, work: w, records: w.allRecords()}
		again.measure()
		return again
	}
	w.each(func(w *work) {
		w.refuse(f)
		if err := p.d.ending.do(context.Background(), w); err != nil {
			p.d.logger.Error("make a dead letter", "run", w.run, "err", err)
		}
	})
	instead := item{entry: it.entry, work: w, records: w.allRecords(), refused: true}
	instead.measure()
	return instead
}
