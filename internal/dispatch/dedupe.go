package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// dedupeMost is how many events one lane remembers, at about 48 bytes each. Past it the oldest are forgotten before their time, and
// that is counted.
const dedupeMost = 1 << 18

// seen are the events that a lane has been offered within its trigger's dedupe.window, by source and id. It is made from the log
// itself: the lane reads the window before the place where it stands and takes part in nothing until it has. So it costs no
// writes, and another node comes to the same.
type seen struct {
	window time.Duration
	most   int
	newest map[uint64]int64 // hash of source and id -> when it came last, in milliseconds since 1970
	order  fifo[sighting]
	lost   func() // called for each that is forgotten before its time

	warm    bool           // the window has been read
	next    int64          // what is read next of it; -1 = where it begins is not known yet
	repeats map[int64]bool // pending offsets that repeat an earlier event
}

type sighting struct {
	hash uint64
	at   int64
}

func newSeen(window time.Duration, most int, lost func()) *seen {
	return &seen{window: window, most: most, lost: lost, newest: map[uint64]int64{}, next: -1, repeats: map[int64]bool{}}
}

// note remembers an event and says whether it repeats one: the window begins anew with each.
func (s *seen) note(hash uint64, at time.Time) (repeats bool) {
	now := at.UnixMilli()
	for s.order.len() > 0 {
		oldest := s.order.items[s.order.head]
		expired := now-oldest.at > s.window.Milliseconds()
		if !expired && s.order.len() < s.most {
			break
		}
		s.order.pop()
		if s.newest[oldest.hash] == oldest.at {
			delete(s.newest, oldest.hash)
			if !expired {
				s.lost()
			}
		}
	}
	last, ok := s.newest[hash]
	s.newest[hash] = now
	s.order.push(sighting{hash, now})
	return ok && now-last <= s.window.Milliseconds()
}

func (d *Dispatcher) hashOf(e *event.Event) uint64 { return d.hash(e.Source + "\x00" + e.ID) }

// setDedupe gives the lane what its trigger's rule needs. A lane that does not know its window yet leaves the shared scan.
func (l *lane) setDedupe() {
	rule := l.t.Dedupe
	switch {
	case rule == nil || l.t.Replay != nil || l.removed:
		l.seen = nil
		return
	case l.seen != nil && rule.Window.Std() <= l.seen.window:
		l.seen.window = rule.Window.Std()
		return
	}
	l.seen = newSeen(rule.Window.Std(), l.p.d.dedupe, func() { l.p.d.metrics.forgotten(l.t, ruleDedupe) })
	if l.attached {
		l.detach(l.p.scan)
	}
	l.p.pull(l)
}

// remember makes lanes for the triggers that need one even where they have nothing to do, because it knows what they have seen.
func (p *partition) remember() {
	for _, t := range p.plan.byTopic[p.id.Topic] {
		if t.Dedupe != nil && p.lanes[t.In(p.id.ID)] == nil {
			p.newLane(t).setDedupe()
		}
	}
}

// skipRepeat ends the run of an event that repeats one, and says so.
func (l *lane) skipRepeat(r *eventlog.Record, e *event.Event) bool {
	if l.seen == nil || !l.seen.note(l.p.d.hashOf(e), r.Time) {
		return false
	}
	l.skip(r, e)
	return true
}

// skip ends the run of a repeated event.
func (l *lane) skip(r *eventlog.Record, e *event.Event) {
	en := &entry{lane: l, offset: r.Offset, appended: r.Time.UnixMilli(), state: flushing, held: entryCost}
	l.p.d.budget.force(entryCost)
	l.entries = append(l.entries, en)
	l.live++
	w := l.p.untried(l.t, r.Offset, "")
	w.cause, w.appended, w.origin, w.rule = e, r.Time, refOf(w.position, e), ruleDedupe
	w.settle(function.RunDiscarded, "an event of the same source and id came within dedupe.window (%s) before it", l.t.Dedupe.Window)
	l.p.conclude(en, w)
}

// recallWindow reads the next part of the window that the lane has to know.
func (p *partition) recallWindow(sc scope, l *lane) {
	s, t, from, until := l.seen, l.t, l.seen.next, l.scanned
	base := until // what the lane has yet to take in begins here
	for _, offset := range l.unloaded {
		if _, tried := l.recalled[offset]; !tried {
			base = offset
			break
		}
	}
	p.helpers.Go(func() {
		m := &recalledWindow{lane: l, seen: s}
		for n := 0; ; n++ {
			err := m.read(sc.life, p, t, windowRange{from: from, base: base, until: until})
			if sc.life.Err() != nil {
				return
			}
			if err == nil {
				p.box.post(m)
				return
			}
			if n == 0 {
				p.d.logger.Error("read the window of dedupe", "topic", p.id.Topic, "partition", p.id.ID, "function", t.Function, "trigger", t.Name, "err", err)
			}
			if !pause(sc.life, n) {
				return
			}
		}
	})
}

// windowRange is what is to be read: from an offset on, -1 = the window before base; up to until.
type windowRange struct{ from, base, until int64 }

// recalledWindow is a part of a window that has been read.
type recalledWindow struct {
	lane *lane
	seen *seen
	got  []recalledEvent
	next int64
	done bool
}

type recalledEvent struct {
	sighting
	offset int64
}

func (m *recalledWindow) read(ctx context.Context, p *partition, t *catalog.Trigger, r windowRange) error {
	if m.next = r.from; m.next < 0 {
		from, err := p.windowStart(ctx, r.base, t.Dedupe.Window.Std())
		if err != nil {
			return err
		}
		m.next = max(from, t.Begin(p.topicID, p.id.ID))
	}
	if m.done = m.next >= r.until; m.done {
		return nil
	}
	rs, err := p.d.log.Read(ctx, p.id, m.next, eventlog.ReadOptions{TopicID: p.topicID, MaxRecords: readRecords, MaxBytes: readBytes, NoWait: true})
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	m.got, m.done = m.got[:0], len(rs) == 0
	for i := range rs {
		if rs[i].Offset >= r.until {
			m.done = true
			break
		}
		m.next = rs[i].Offset + 1
		if e := p.wants(t, &rs[i]); e != nil {
			m.got = append(m.got, recalledEvent{sighting{p.d.hashOf(e), rs[i].Time.UnixMilli()}, rs[i].Offset})
		}
	}
	return nil
}

// windowStart is the offset at which the window before an offset begins.
func (p *partition) windowStart(ctx context.Context, offset int64, window time.Duration) (int64, error) {
	at := p.d.now()
	rs, err := p.d.log.Read(ctx, p.id, offset, eventlog.ReadOptions{TopicID: p.topicID, MaxRecords: 1, NoWait: true})
	if err != nil {
		return 0, fmt.Errorf("read event %d: %w", offset, err)
	}
	if len(rs) > 0 && rs[0].Time.Before(at) {
		at = rs[0].Time
	}
	from, err := p.d.log.OffsetAt(ctx, p.id, at.Add(-window))
	if err != nil {
		return 0, fmt.Errorf("find where the window begins: %w", err)
	}
	return from, nil
}

func (m *recalledWindow) apply(_ scope, p *partition) {
	l, s := m.lane, m.seen
	l.reading = false
	if l.seen == s {
		for _, e := range m.got {
			repeats := s.note(e.hash, time.UnixMilli(e.at))
			if _, pending := slices.BinarySearch(l.unloaded, e.offset); repeats && pending {
				s.repeats[e.offset] = true
			}
		}
		s.next, s.warm = m.next, m.done
	}
	p.pull(l)
}
