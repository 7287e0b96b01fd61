package dispatch

import (
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of one lane. Past them it leaves the shared scan.
const (
	laneWindow = 8192    // entries
	laneBytes  = 4 << 20 // events held in memory; an entry past it reads its event again when its turn comes
)

// lane is the part of one trigger in one partition: the events that matched and are not finished. All of it belongs to the
// partition's actor.
//
// An attached lane has been offered all that the shared scan has passed. A detached one has a cursor of its own: all below
// scanned has been offered to it or stands in unloaded. A trigger that has no lane is attached and has nothing to do.
type lane struct {
	p    *partition
	t    *catalog.Trigger
	gate *gate

	attached bool
	cursor   int64   // detached: what is read next; below scanned only while there is something to load
	scanned  int64   // detached: see above
	unloaded []int64 // pending since before this node took over, not yet read again; rising
	recalled map[int64]retryRecord
	reading  bool
	wants    bool // it is in the partition's list of lanes that want to read on

	entries []*entry // by offset, those that are gone among them
	live    int      // entries that are not gone
	parked  int      // of those, entries that take no place in the window
	ready   fifo[*entry]
	keys    map[uint64]*entry // the newest entry of each key
	bytes   int64             // of events held
	halt    map[uint64]bool   // hashes of the keys that are paused
	newest  *newest           // what it has run of each key; nil = its trigger does not mind
	seen    *seen             // what it knows of repeated events; nil = its trigger does not mind

	waiter    *waiter   // in the gate's queue; nil = not there
	placed    bool      // it has a place in time for its next attempt
	placeAt   time.Time // that place, while it is to come; see pacer
	owesUntil time.Time // its environment owes events, and is asked again then; zero = it is not known to owe any
	fullUntil time.Time // one of its suspects has found no instance, and none of them asks before that
	queued    bool      // in the partition's queue of lanes that can start something
	dirty     bool      // what the log knows of the lane is out of date
	stored    bool      // the log may have a laneRecord
	told      bool      // of a replay: that nothing is left is in the log, or in the commit under way
	removed   bool      // the trigger is no more, or elsewhere
	gone      string    // why it is removed
	heir      int64     // removed: from here on another lane looks at the log for the same trigger
	sick      bool      // invocations fail without the function's doing, and that has been logged

	gathers   time.Time // until when a batch waits for more events; zero = there is none
	gathering bool      // in the partition's list of lanes with such a batch

	foreseen foreseen
}

// uid is the trigger's UID in this partition.
func (l *lane) uid() int64 { return l.t.In(l.p.id.ID) }

// idle says that nothing needs the lane: it stands where the scan stands and has nothing to do.
func (l *lane) idle() bool {
	return l.live == 0 && len(l.unloaded) == 0 && !l.dirty && !l.stored && !l.reading && (l.attached || l.removed) &&
		(l.removed || l.seen == nil && l.newest.empty())
}

// paused says that the lane takes nothing and starts nothing for now.
func (l *lane) paused() bool { return l.t.Paused || l.t.Err != nil || l.removed }

// touch notes that the lane's record has to be written.
func (l *lane) touch() {
	l.p.moved = true
	if !l.dirty {
		l.dirty = true
		l.p.dirty = append(l.p.dirty, l)
	}
}

// detach takes the lane out of the shared scan; it goes on from offset by itself.
func (l *lane) detach(offset int64) {
	l.attached, l.cursor, l.scanned = false, offset, offset
	l.touch()
}

// add takes in an event that matched. The caller has looked for room. Offsets rise from call to call.
func (l *lane) add(offset int64, appended time.Time, e *event.Event, size int64) {
	en := &entry{lane: l, offset: offset, appended: appended.UnixMilli(), held: entryCost, size: size}
	en.careful = offset < l.p.carefulBelow
	b := &l.p.d.budget
	b.force(entryCost)
	if l.bytes+size <= l.maxBytes() && b.take(size, eventShare) {
		en.event, en.bytes = e, size
		en.held += size
		l.bytes += size
	}
	l.place(en, e.Key())
}

// place gives a new entry its place in the order.
func (l *lane) place(en *entry, key string) {
	offset := en.offset
	if key != "" {
		en.name = l.p.d.hash(key)
	}
	if r, ok := l.recalled[offset]; ok {
		delete(l.recalled, offset)
		en.recall(r)
	}
	l.entries = append(l.entries, en)
	l.live++
	l.touch()
	switch {
	case l.t.Order == function.OrderPartition:
		en.keyed = true
	case l.t.Order == function.OrderNone:
	default:
		en.key, en.keyed = en.name, key != ""
	}
	if en.keyed {
		last := l.keys[en.key]
		l.keys[en.key] = en
		switch {
		case last != nil && last.passed:
			en.ahead = last.ahead + 1
		case last != nil:
			last.next = en
			if last.parked {
				l.park(en)
			} else if l.t.Batch != nil && l.ready.len() > 0 {
				l.p.wake(l) // it may fill a batch
			}
			return // blocked
		}
	}
	l.enable(en)
}

// recall gives an entry what the log knows of its attempts. One that began and whose end is not known ended with the node.
func (e *entry) recall(r retryRecord) {
	e.stored, e.careful = true, e.careful || r.started != 0
	e.attempts, e.due = r.attempts, r.due
	if r.started != 0 {
		e.suspect = true
		e.attempts = append(e.attempts, function.Attempt{
			Number: r.started, Outcome: function.Crashed,
			Failure: &function.Failure{Type: typeNodeStopped, Message: "the node stopped while this ran"},
		})
	}
}

// enable makes an entry ready: now, when it is due, or when its key is no longer paused.
func (l *lane) enable(e *entry) {
	now := l.p.d.now()
	switch wait := e.due.Sub(now); {
	case wait > 0:
		e.state = waiting
		l.p.clock.add(e)
		if wait > parkAfter {
			l.parkChain(e)
		}
		return
	case l.halt[e.name]:
		e.state = halted
		l.parkChain(e)
		return
	}
	l.unpark(e)
	e.state = ready
	l.ready.push(e)
	l.p.wake(l)
}

// finish drops an entry whose end is in the log; the next of its key is free.
func (l *lane) finish(e *entry) {
	l.drop(e)
	if e.keyed {
		next := e.following()
		switch {
		case l.keys[e.key] == e, next == nil && !e.passed:
			delete(l.keys, e.key)
		case next != nil && !e.passed && !l.removed: // else its end, or its turn, is on its way already
			l.enable(next)
		}
	}
	e.next = nil
	l.afterFinish()
}

// afterFinish makes use of the room that finished entries have left.
func (l *lane) afterFinish() {
	l.compact()
	l.restock()
}

func (l *lane) drop(e *entry) {
	l.unpark(e)
	if e.held > entryCost {
		l.bytes -= e.held - entryCost
	}
	l.p.d.budget.give(e.held)
	e.state, e.held, e.event, e.ref, e.attempts = gone, 0, nil, nil, nil
	l.live--
}

// compact takes the gone out of entries when they are most of it.
func (l *lane) compact() {
	if len(l.entries) < 32 || l.live*2 > len(l.entries) {
		if l.live == 0 {
			clear(l.entries)
			l.entries = l.entries[:0]
		}
		return
	}
	kept := l.entries[:0]
	for _, e := range l.entries {
		if e.state != gone {
			kept = append(kept, e)
		}
	}
	clear(l.entries[len(kept):])
	l.entries = kept
}

// record is what the log has to know of the lane; nil when that is nothing.
func (l *lane) record() []byte {
	pending := l.p.pending[:0]
	for _, e := range l.entries {
		if e.state != gone && !e.settled {
			pending = append(pending, e.offset)
		}
	}
	pending = append(pending, l.unloaded...)
	l.p.pending = pending
	if len(pending) == 0 && (l.attached || l.removed) {
		return nil
	}
	return laneRecord{attached: l.attached, scanned: l.scanned, pending: pending}.encode()
}

// low is the offset below which the lane has nothing left to do. scan is where the shared scan stands.
func (l *lane) low(scan int64) int64 {
	for _, e := range l.entries {
		if e.state != gone {
			return e.offset
		}
	}
	switch {
	case len(l.unloaded) > 0:
		return l.unloaded[0]
	case l.attached:
		return scan
	}
	return l.scanned
}

// retarget gives the lane its trigger as it is in a newer catalog.
func (l *lane) retarget(t *catalog.Trigger) {
	was := l.paused()
	if t.Rate != l.t.Rate {
		l.placed, l.placeAt = false, time.Time{}
		l.p.wake(l)
	}
	l.t, l.gate = t, l.p.d.gateOf(t)
	l.setHalt()
	l.setDedupe()
	l.setStale()
	if was && !l.paused() {
		if l.ready.len() > 0 {
			l.p.wake(l)
		}
		l.p.pull(l)
	}
}

// remove ends the lane because its trigger is no more, or elsewhere. What runs is finished and committed; the rest is discarded, and
// the log says so.
func (l *lane) remove(why leave) {
	l.removed, l.gone, l.heir = true, why.reason, why.heir
	for _, e := range l.entries {
		switch e.state {
		case blocked, ready, waiting, halted:
			l.discard(e)
		}
	}
	for _, offset := range l.unloaded {
		l.endOne(offset, function.RunDiscarded, "%s", l.gone)
	}
	if !l.attached && l.t.Replay == nil {
		l.p.discardUnread(l, l.scanned)
	}
	for offset, r := range l.recalled {
		l.p.push(item{records: l.p.keys.forget(l.uid(), offset, r.attempts)})
	}
	l.recalled, l.unloaded = nil, nil
	l.ready.clear()
	l.setStale()
	l.leaveGate()
	l.touch()
}

// discard ends the run of an entry that is not under way because its trigger is no more.
func (l *lane) discard(e *entry) {
	e.state = flushing
	w := l.p.untried(l.t, e.offset, "")
	w.cause, w.appended, w.before, w.stored = e.event, time.UnixMilli(e.appended), e.attempts, e.stored
	if e.ref != nil {
		w.origin = *e.ref
	} else {
		w.origin = refOf(w.position, e.event)
	}
	w.settle(function.RunDiscarded, "%s", l.gone)
	l.p.conclude(e, w)
}

// leaveGate gives up the place in the gate's queue.
func (l *lane) leaveGate() {
	if l.waiter != nil && !l.gate.leave(l.waiter) {
		l.gate.release() // it was granted a slot in this very moment
	}
	l.waiter = nil
}
