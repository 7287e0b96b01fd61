package dispatch

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of one read.
const (
	readRecords = 512
	readBytes   = 1 << 20
)

// batch is what one read gave: the shared scan's, or a detached lane's.
type batch struct {
	lane    *lane // nil = the scan
	from    int64
	records []eventlog.Record
	end     int64          // of the scan: there is nothing below, when there are no records
	start   int64          // what lies between from and start, retention has taken; 0 = nothing is missing
	missing bool           // the topic is not there
	kept    map[int64]kept // what was pending, is not in its topic any more and has been found in _dalamb.delayed; nil = nobody has looked
}

// read starts a read. What it gives comes as a message.
func (p *partition) read(sc scope, l *lane, from int64, o eventlog.ReadOptions) {
	o.TopicID = p.topicID
	p.helpers.Go(func() {
		b := &batch{lane: l, from: from}
		for n := 0; ; n++ {
			var err error
			if l == nil {
				b.records, b.end, err = p.next(sc.life, from, o)
			} else {
				b.records, err = p.d.log.Read(sc.life, p.id, from, o)
			}
			if err == nil && (len(b.records) == 0 || b.records[0].Offset > from) {
				var bounds eventlog.Bounds
				if bounds, err = p.d.log.Bounds(sc.life, p.id); bounds.Start > from {
					b.start = bounds.Start
				}
			}
			switch {
			case sc.life.Err() != nil:
				return
			case fault.KindOf(err) == fault.NotFound:
				b.missing = true
			case err != nil:
				if n == 0 {
					p.d.logger.Error("read events", "topic", p.id.Topic, "partition", p.id.ID, "offset", from, "err", err)
				}
				if !pause(sc.life, n) {
					return
				}
				continue
			}
			p.box.post(b)
			return
		}
	})
}

// readAhead keeps the shared scan one batch ahead.
func (p *partition) readAhead(sc scope) {
	if p.reading || p.draining || p.batches.len() > 1 {
		return
	}
	p.reading = true
	p.read(sc, nil, p.ahead, eventlog.ReadOptions{MaxRecords: readRecords, MaxBytes: readBytes})
}

func (b *batch) apply(sc scope, p *partition) {
	switch {
	case b.lane != nil:
		b.lane.reading = false
		if p.rescue(sc, b) {
			return
		}
		p.load(b)
		p.pull(b.lane)
		if b.lane.idle() {
			delete(p.lanes, b.lane.uid())
		}
	case b.missing:
		p.goAstray()
	default:
		p.reading = false
		if n := len(b.records); n > 0 {
			p.ahead = b.records[n-1].Offset + 1
		} else {
			p.ahead = max(p.ahead, b.end)
		}
		p.batches.push(b)
	}
}

// offer gives what was read to the lanes. It waits when outcomes pile up because the log does not take them.
func (p *partition) offer() {
	for p.batches.len() > 0 && p.unflushed < unflushedMax && !p.draining {
		b := p.batches.pop()
		if b.start > b.from {
			p.expireScan(b.from, b.start)
		}
		for i := range b.records {
			p.offerRecord(&b.records[i])
		}
		if len(b.records) == 0 {
			p.scan = max(p.scan, b.end)
			continue // not worth a commit, which would make the next gap
		}
		p.moved = true
	}
}

func (p *partition) offerRecord(r *eventlog.Record) {
	if r.Offset < p.scan {
		return
	}
	p.scan = r.Offset + 1
	if p.set == nil {
		return
	}
	e := eventlog.EventOf(r)
	if e == nil {
		return
	}
	p.matched = notOwn(p.id.Topic, e, p.set.MatchEvent(e, p.matched[:0]))
	for _, t := range p.matched {
		if r.Offset < t.Begin(p.topicID, p.id.ID) {
			continue
		}
		l := p.lanes[t.In(p.id.ID)]
		switch {
		case l == nil:
			l = p.newLane(t)
		case !l.attached:
			continue
		}
		if l.paused() || !l.room() {
			l.detach(r.Offset)
			p.pull(l)
			continue
		}
		if l.skipRepeat(r, e) {
			continue
		}
		l.add(r.Offset, r.Time, e, eventSize(r))
	}
}

// eventSize is about what an event takes in memory.
func eventSize(r *eventlog.Record) int64 { return 256 + recordSize(r) }

func (p *partition) newLane(t *catalog.Trigger) *lane {
	l := &lane{p: p, t: t, gate: p.d.gateOf(t), attached: true, keys: map[uint64]*entry{}}
	l.setHalt()
	l.setStale()
	p.lanes[l.uid()] = l
	return l
}

// pull lets a detached lane read on if it has room.
func (p *partition) pull(l *lane) {
	if l.attached || l.reading || l.paused() || l.wants || p.draining || l.read() {
		return
	}
	l.wants = true
	p.starved = append(p.starved, l)
}

// feed starts the reads of the lanes that want one and have room.
func (p *partition) feed(sc scope) {
	if len(p.starved) == 0 || p.draining {
		return
	}
	waiting := p.starved
	p.starved = p.spare[:0]
	for _, l := range waiting {
		switch {
		case l.attached || l.reading || l.paused() || l.read():
			l.wants = false
		case l.early():
			p.starved = append(p.starved, l) // the scan will be there soon
		case !l.room():
			// A full window opens when an entry finishes and a full stock when one starts, which pull again; only the budget has to be
			// asked again.
			if l.full() || l.stocked() {
				l.wants = false
			} else {
				p.starved = append(p.starved, l)
			}
		default:
			l.wants, l.reading = false, true
			if l.seen != nil && !l.seen.warm {
				p.recallWindow(sc, l)
				continue
			}
			o := eventlog.ReadOptions{MaxRecords: readRecords, MaxBytes: readBytes, NoWait: true}
			if n := len(l.unloaded); n > 0 {
				o.MaxRecords = stretch(l.unloaded)
			}
			p.read(sc, l, l.cursor, o)
		}
	}
	clear(waiting)
	p.spare = waiting[:0]
}

// stretch is how many records to read from the first of some offsets to have all that are near it.
func stretch(offsets []int64) int {
	last := offsets[0]
	for _, o := range offsets {
		if o-offsets[0] >= readRecords {
			break
		}
		last = o
	}
	return int(last-offsets[0]) + 1
}

// load gives a detached lane what was read for it, as far as the shared scan is and as far as it has room.
func (p *partition) load(b *batch) {
	l := b.lane
	if l.attached || l.paused() || p.draining {
		return
	}
	if b.missing {
		p.goAstray()
		return
	}
	l.touch()
	if b.start > b.from {
		l.unloadedBelow(b, b.start)
		if lost := min(b.start, l.end()); len(l.unloaded) == 0 && lost > l.scanned {
			p.expire(l.t, l.scanned, lost)
			l.scanned = lost
		}
	}
	whole := true
	for i := range b.records {
		r := &b.records[i]
		l.reload(b, r)
		if r.Offset < l.scanned {
			continue
		}
		if end := l.end(); r.Offset >= end {
			l.scanned = max(l.scanned, end)
			break
		}
		if !l.room() {
			whole = false
			break
		}
		l.consider(r)
		l.scanned = r.Offset + 1
	}
	if len(b.records) == 0 {
		l.unloadedBelow(b, p.scan)
		l.scanned = max(l.scanned, l.end())
	}
	l.cursor = l.scanned
	if len(l.unloaded) > 0 {
		l.cursor = l.unloaded[0]
	} else if whole && l.scanned >= p.scan && l.t.Replay == nil {
		l.attached = true
	}
}

// reload takes r in if it was pending before this node took over. What was pending before it and has not come is gone.
func (l *lane) reload(b *batch, r *eventlog.Record) {
	l.unloadedBelow(b, r.Offset)
	if len(l.unloaded) == 0 || l.unloaded[0] != r.Offset {
		return
	}
	l.unloaded = l.unloaded[1:]
	e := eventlog.EventOf(r)
	if e == nil {
		l.endOne(r.Offset, function.RunExpired, "what stands at the event's place is no event any more")
		return
	}
	if _, tried := l.recalled[r.Offset]; !tried && l.seen != nil && l.seen.repeats[r.Offset] {
		delete(l.seen.repeats, r.Offset) // its end did not reach the log before the node stopped
		l.skip(r, e)
		return
	}
	l.add(r.Offset, r.Time, e, eventSize(r))
}

// unloadedBelow gives up what was pending below an offset and is not there any more, unless it was kept.
func (l *lane) unloadedBelow(b *batch, offset int64) {
	for len(l.unloaded) > 0 && l.unloaded[0] < offset {
		gone := l.unloaded[0]
		l.unloaded = l.unloaded[1:]
		if k, ok := b.kept[gone]; ok {
			l.addKept(gone, k)
			continue
		}
		l.endOne(gone, function.RunExpired, "the retention of topic %s removed the event before its turn", l.p.id.Topic)
	}
}

// consider takes in an event of the lane's own cursor if it matches.
func (l *lane) consider(r *eventlog.Record) {
	e := l.p.wants(l.t, r)
	if e == nil {
		return
	}
	if replay := l.t.Replay; replay != nil && !replay.Wants(l.p.id.ID, r.Offset, e) {
		return
	}
	if !l.skipRepeat(r, e) {
		l.add(r.Offset, r.Time, e, eventSize(r))
	}
}

// wants is the event of a record if a trigger is to be offered it, else nil.
func (p *partition) wants(t *catalog.Trigger, r *eventlog.Record) *event.Event {
	if r.Offset < t.Begin(p.topicID, p.id.ID) {
		return nil
	}
	e := eventlog.EventOf(r)
	if e == nil || t.Pattern != nil && !t.Pattern.MatchEvent(e) || about(p.id.Topic, e) == t.Function {
		return nil
	}
	return e
}

// endOne ends the run of a pending event that is not in memory: it is not there when its turn comes, or it has no turn any more.
func (l *lane) endOne(offset int64, state function.RunState, reason string, args ...any) {
	e := &entry{lane: l, offset: offset, state: flushing, held: entryCost}
	l.p.d.budget.force(entryCost)
	if r, ok := l.recalled[offset]; ok {
		delete(l.recalled, offset)
		e.recall(r)
	}
	l.entries = append(l.entries, e)
	l.live++
	w := l.p.untried(l.t, offset, "")
	w.before, w.stored = e.attempts, e.stored
	w.settle(state, reason, args...)
	l.p.conclude(e, w)
}

// expireScan says for every trigger that follows the shared scan what retention has taken before its turn.
func (p *partition) expireScan(from, to int64) {
	for _, t := range p.plan.byTopic[p.id.Topic] {
		if l := p.lanes[t.In(p.id.ID)]; l == nil || l.attached {
			p.expire(t, from, to)
		}
	}
	p.scan = max(p.scan, to)
}

// expire records that retention has taken a stretch of the log before a trigger had looked at it. Which of it would have matched
// nobody can know any more.
func (p *partition) expire(t *catalog.Trigger, from, to int64) {
	from = max(from, t.Begin(p.topicID, p.id.ID))
	if from >= to {
		return
	}
	w := p.untried(t, from, "expired")
	w.lost = to - from
	w.settle(function.RunExpired, "the retention of topic %s removed offsets %d to %d of partition %d before their turn",
		p.id.Topic, from, to-1, p.id.ID)
	p.d.logger.Warn("retention removed events before their turn", "function", t.Function, "trigger", t.Name,
		"topic", p.id.Topic, "partition", p.id.ID, "offset", from, "count", to-from)
	p.conclude(nil, w)
}

// discardUnread records that a lane is no more that had yet to look at a stretch of the log, from an offset on, which the scan has
// passed.
func (p *partition) discardUnread(l *lane, from int64) {
	from = max(from, l.t.Begin(p.topicID, p.id.ID))
	to := min(p.scan, l.heir)
	if from >= to {
		return
	}
	w := p.untried(l.t, from, "removed")
	w.settle(function.RunDiscarded, "%s before it had looked at offsets %d to %d of partition %d of topic %s",
		l.gone, from, to-1, p.id.ID, p.id.Topic)
	p.conclude(nil, w)
}

// untried makes the work of a run that ends without an attempt.
func (p *partition) untried(t *catalog.Trigger, offset int64, replay string) *work {
	w := &work{
		trigger: t, keys: p.keys, name: t.Name, position: eventlog.Position{Topic: p.id.Topic, Partition: p.id.ID, Offset: offset},
		run: runID(p.topicID, p.id.ID, offset, t.In(p.id.ID), t.ReplayName()+replay), appended: time.Time{},
	}
	w.origin = refOf(w.position, nil)
	return w
}

// conclude records a run that needs no attempt.
func (p *partition) conclude(e *entry, w *work) {
	if err := (record{now: p.d.now}).do(context.Background(), w); err != nil {
		p.d.logger.Error("record a run", "run", w.run, "err", err)
		return
	}
	p.push(item{entry: e, work: w, records: w.records})
}
