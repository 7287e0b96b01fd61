package dispatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// What one invocation runs is an entry or a batch of entries of one lane. The first of a batch in the log's order is its lead: it
// holds the slot of the gate, goes through the states, and carries the others, which are joined to it until the outcome is stored.
//
// In a batch are events of as many attempts, split as far: what failed together is tried again together, and what is new does
// not suffer from it. A suspect runs alone.

// each calls f for every entry of an invocation, in the order of the log.
func (e *entry) each(f func(*entry)) {
	if e.batch == nil {
		f(e)
		return
	}
	for _, m := range e.batch {
		f(m)
	}
}

// joins says whether e may be in a batch with lead.
func (e *entry) joins(lead *entry) bool {
	if len(e.attempts) == 0 && len(lead.attempts) == 0 {
		return true
	}
	return !e.suspect && len(e.attempts) == len(lead.attempts) && splitTo(e.attempts) == splitTo(lead.attempts)
}

// splitTo is how many events the batches of a run have at most because larger ones failed; 0 = as many as the trigger says.
func splitTo(attempts []function.Attempt) int {
	for i := len(attempts) - 1; i >= 0; i-- {
		if a := &attempts[i]; a.Split {
			return (a.Batch + 1) / 2
		}
	}
	return 0
}

// tries are the attempts that count towards retry.attempts.
func tries(attempts []function.Attempt) int {
	n := 0
	for i := range attempts {
		if !attempts[i].Split {
			n++
		}
	}
	return n
}

// collect finds what the next invocation would have: the first entry that is ready, in a batch those after it, and behind each of
// them those that its key blocks. full says that waiting for more is no use.
func (l *lane) collect() (found []*entry, full bool) {
	queue := l.ready.items[l.ready.head:]
	lead, b := queue[0], l.t.Batch
	found = append(l.p.collected[:0], lead)
	defer func() { l.p.collected = found[:0] }()
	if b == nil || lead.suspect {
		return found, true
	}
	most, bytes := b.Size, lead.size
	if n := splitTo(lead.attempts); n > 0 {
		most = min(most, n)
	}
	now := l.p.d.now()
	take := func(e *entry) bool {
		bytes += e.size
		full = len(found) >= most || bytes > int64(b.Bytes)
		if !full {
			found = append(found, e)
		}
		return !full
	}
	for _, head := range queue {
		if !head.joins(lead) {
			return found, true
		}
		if head != lead && !take(head) {
			return found, true
		}
		for e := head.next; e != nil; e = e.next {
			if e.state == gone {
				continue
			}
			if e.state != blocked || !e.joins(lead) || e.due.After(now) || l.halt[e.name] {
				break
			}
			if !take(e) {
				return found, true
			}
		}
	}
	return found, len(found) >= most || len(lead.attempts) > 0
}

// mayStart says whether the lane's next invocation need not wait for more events.
func (l *lane) mayStart() bool {
	b := l.t.Batch
	if b == nil || b.Window <= 0 || !l.room() {
		return true
	}
	if _, full := l.collect(); full {
		return true
	}
	now := l.p.d.now()
	if l.gathers.IsZero() {
		l.gathers = now.Add(b.Window.Std())
		if !l.gathering {
			l.gathering = true
			l.p.gathering = append(l.p.gathering, l)
		}
	}
	return !now.Before(l.gathers)
}

// wakeGathering wakes the lanes whose first event has waited for others as long as it should.
func (p *partition) wakeGathering(now time.Time) {
	p.gathering = slices.DeleteFunc(p.gathering, func(l *lane) bool {
		if !l.gathers.IsZero() && now.Before(l.gathers) {
			return false
		}
		if l.gathering = false; l.ready.len() > 0 {
			p.wake(l)
		}
		return true
	})
}

// take takes what the next invocation has off the queue and returns its lead.
func (l *lane) take() *entry {
	if l.t.Batch == nil {
		return l.ready.pop()
	}
	l.gathers = time.Time{}
	found, _ := l.collect()
	for _, e := range found {
		l.unpark(e)
		if e.state == ready {
			l.ready.pop() // those that are ready stand in the queue as collect has found them
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	batch := slices.Clone(found)
	slices.SortFunc(batch, func(a, b *entry) int { return cmp.Compare(a.offset, b.offset) })
	for _, e := range batch {
		e.state = joined
	}
	batch[0].batch = batch
	return batch[0]
}

// disband puts the entries of an invocation back, to be run again: of each key the first is ready, now or when it is due, and the
// others wait behind it.
func (l *lane) disband(lead *entry) {
	members := lead.batch
	if members == nil {
		l.enable(lead)
		return
	}
	lead.batch = nil
	l.unhitch(members)
}

// discardAll ends the runs of an invocation that has not taken place because their trigger is no more.
func (l *lane) discardAll(lead *entry) {
	members := lead.batch
	lead.batch = nil
	if members == nil {
		l.discard(lead)
	}
	for _, e := range members {
		l.discard(e)
	}
}

// unhitch puts entries of a batch, in the order of the log, back behind those of their keys, and lets the first of each key go on.
// Those that are finished are gone already.
func (l *lane) unhitch(members []*entry) {
	for _, e := range members {
		if e.state != gone {
			e.state = blocked
		}
	}
	seen := l.p.seen
	clear(seen)
	for _, e := range members {
		if !e.keyed {
			if e.state != gone {
				l.enable(e)
			}
			continue
		}
		if _, again := seen[e.key]; again {
			continue
		}
		seen[e.key] = struct{}{}
		first := e
		for first != nil && first.state == gone {
			first = first.next
		}
		if first == nil {
			delete(l.keys, e.key)
		} else {
			l.enable(first)
		}
	}
}

// settleBatch does for a batch what settle does for one entry.
func (p *partition) settleBatch(lead *entry, w *work) {
	l, members := lead.lane, lead.batch
	lead.batch = nil
	for i, e := range members {
		if w := w.batch[i]; w.final() {
			p.d.settled(w)
			l.drop(e)
		} else {
			p.carryOn(e, w)
		}
	}
	if l.removed { // what waits behind them has been discarded already
		for _, e := range members {
			if e.state != gone {
				l.discard(e)
			}
		}
	} else {
		l.unhitch(members)
	}
	l.afterFinish()
}
