package dispatch

import (
	"math/rand/v2"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// wake puts a lane in the queue of those that may have something to start.
func (p *partition) wake(l *lane) {
	if !l.queued {
		l.queued = true
		p.runnable.push(l)
	}
}

// startRunnable starts what order, gates and memory allow.
func (p *partition) startRunnable(sc scope) {
	if p.draining || p.unflushed >= unflushedMax {
		return
	}
	for n := p.runnable.len(); n > 0; n-- {
		l := p.runnable.pop()
		l.queued = false
		if l.ready.len() == 0 || l.waiter != nil || l.paused() {
			continue
		}
		if !p.opened {
			p.wantOpen = true
			p.wake(l)
			continue
		}
		p.startLane(sc, l)
	}
}

// startLane starts entries of a lane until its gate is full; then the lane waits in the gate's queue. Where its environment owes events it starts none.
func (p *partition) startLane(sc scope, l *lane) {
	for l.ready.len() > 0 && l.mayStart() {
		if p.unflushed >= unflushedMax {
			p.wake(l)
			return
		}
		if !p.solvent(l) || !p.onPace(l) {
			return
		}
		w := &waiter{}
		w.granted = func() { p.box.post(&granted{l: l, w: w}) }
		if !l.gate.acquire(w) {
			l.waiter = w
			return
		}
		p.startNext(sc, l)
	}
}

// granted tells that a lane has been given a slot of its gate.
type granted struct {
	l *lane
	w *waiter
}

func (m *granted) apply(sc scope, p *partition) {
	if m.l.waiter != m.w {
		return // it has left the queue, and given the slot back
	}
	m.l.waiter = nil
	if m.l.ready.len() == 0 || m.l.paused() || p.draining || p.unflushed >= unflushedMax || !m.l.mayStart() || !p.solvent(m.l) {
		m.l.gate.release()
		p.wake(m.l)
		return
	}
	p.startNext(sc, m.l)
	p.wake(m.l)
}

// startNext starts the lane's next entry, in a slot of the gate that is taken already. Entries that were under way when a node died
// take turns on this node, so that the next death has one cause.
func (p *partition) startNext(sc scope, l *lane) {
	l.placed = false
	l.expect(0) // from here on the fleet knows it as a call
	e := l.take()
	l.restock()
	if !e.suspect {
		p.prepare(sc, e)
		return
	}
	e.state = marking
	p.alone.push(e)
	p.takeTurn(sc)
}

// prepare begins an attempt, after that has been written down if the entry needs care.
func (p *partition) prepare(sc scope, e *entry) {
	var records []eventlog.Record
	e.each(func(m *entry) {
		if m.careful && !m.usedUp() {
			records = append(records, p.startedRecord(m))
			m.stored, m.marked = true, true
		}
	})
	if len(records) == 0 {
		p.begin(sc, e)
		return
	}
	e.state = marking
	p.push(item{entry: e, begins: true, records: records})
}

// startedRecord says that an attempt of an entry begins.
func (p *partition) startedRecord(e *entry) eventlog.Record {
	value, err := retryRecord{started: len(e.attempts) + 1, attempts: e.attempts}.encode()
	if err != nil { // attempts that were read from JSON can be written as JSON
		p.d.logger.Error("encode attempts", "topic", p.id.Topic, "partition", p.id.ID, "offset", e.offset, "err", err)
	}
	return p.keys.record(p.keys.retry(e.lane.uid(), e.offset), value)
}

func (p *partition) push(it item) {
	it.measure()
	p.unflushed += it.bytes
	p.items.push(it)
}

// void takes back the mark that an attempt began, where there is one. The entry may be marked again before that is stored: then the newer mark follows it in the log,
// and has a void of its own.
func (p *partition) void(e *entry) {
	if !e.marked {
		return
	}
	key := p.keys.retry(e.lane.uid(), e.offset)
	var value []byte
	if len(e.attempts) > 0 {
		value, _ = retryRecord{due: e.due, attempts: e.attempts}.encode() // it could be written before
	}
	p.push(item{records: one(p.keys.record(key, value))})
	e.stored, e.marked = value != nil, false
}

func one(r eventlog.Record) []eventlog.Record { return []eventlog.Record{r} }

// begin runs the stages for an entry that holds a slot.
func (p *partition) begin(sc scope, e *entry) {
	l := e.lane
	if p.draining || l.paused() && e.state == marking {
		p.putBack(e)
		return
	}
	e.state = running
	p.running++
	w, topicID := p.workOf(e), p.topicID
	if e.turn {
		if e.asked.IsZero() {
			e.asked = p.d.now()
		}
		w.each(func(w *work) { w.asked, w.patience = e.asked, turnPatience(e.failures) })
	}
	p.crew.run(sc.life, func() {
		w.each(func(w *work) {
			w.run = runID(topicID, w.position.Partition, w.position.Offset, w.trigger.In(w.position.Partition), w.trigger.ReplayName())
		})
		err := p.d.stages.run(sc.work, w)
		w.each(func(w *work) { w.processed(err) })
		p.box.post(&ran{entry: e, work: w, err: err})
	})
}

// putBack takes from an entry what it holds for an attempt that is not made. It is ready again, or discarded where its trigger is no more.
func (p *partition) putBack(e *entry) {
	l := e.lane
	l.gate.release()
	p.endTurn(e)
	e.each(p.void)
	if l.removed {
		l.discardAll(e)
		return
	}
	l.disband(e)
}

// workOf is an attempt of an entry, or of all in its batch.
func (p *partition) workOf(e *entry) *work {
	w := p.workOfOne(e)
	for i, m := range e.batch {
		if i == 0 {
			w.batch = append(make([]*work, 0, len(e.batch)), w)
		} else {
			w.batch = append(w.batch, p.workOfOne(m))
		}
	}
	return w
}

func (p *partition) workOfOne(e *entry) *work {
	return &work{
		trigger: e.lane.t, keys: p.keys, shelf: p.shelf, newest: e.lane.newest, appended: time.UnixMilli(e.appended), before: e.attempts, stored: e.stored, cause: e.event,
		position: eventlog.Position{Topic: p.id.Topic, Partition: p.id.ID, Offset: e.offset},
	}
}

// ran is the end of an attempt.
type ran struct {
	entry *entry
	work  *work
	err   error // dalamb failed, or the attempt was interrupted: there was no attempt
}

func (m *ran) apply(sc scope, p *partition) {
	e, l := m.entry, m.entry.lane
	p.running--
	l.gate.release()
	crowdedOut := e.turn && fault.KindOf(m.err) == fault.Exhausted
	p.endTurn(e)
	if l.ready.len() > 0 {
		p.wake(l)
	}
	if m.err == nil {
		e.failures, e.asked, e.state, l.sick = 0, time.Time{}, flushing, false
		p.push(item{entry: e, work: m.work, records: m.work.allRecords()})
		l.passOn(e, m.work)
		return
	}
	e.each(p.void)
	switch {
	case sc.work.Err() != nil:
		e.each(func(m *entry) { m.state = ready })
		return // the node is leaving; the next owner begins the attempt again
	case l.removed:
		l.discardAll(e)
		return
	}
	if !l.sick {
		l.sick = true
		p.d.logger.Warn("attempt not possible; it is repeated until it is", "function", l.t.Function, "trigger", l.t.Name,
			"topic", p.id.Topic, "partition", p.id.ID, "offset", e.offset, "err", m.err)
	}
	p.d.metrics.troubled(l.t)
	due := p.d.now().Add(troubleWait(e.failures))
	e.failures++
	if crowdedOut {
		l.fullUntil = due
	}
	e.each(func(m *entry) { m.due = due })
	l.disband(e)
}

// troubleWait is how long an attempt waits that dalamb could not make: exponentially to 30 s, with jitter.
func troubleWait(n int) time.Duration {
	bound := min(30*time.Second, 50*time.Millisecond<<min(n, 10))
	return bound/2 + rand.N(bound/2)
}
