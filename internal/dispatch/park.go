package dispatch

import (
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what waits long. An entry whose next attempt is further away than parkAfter is parked, with all that is blocked behind
// it, and so is one whose key is paused: it is in memory without its event and takes no place in its lane's window. Past laneParked
// a lane takes nothing more in until some of it has been run.
const (
	parkAfter  = time.Minute
	laneParked = 2 * laneWindow
	refCost    = 160 // bytes that the name of a parked event takes, without its text
	parkShare  = 50  // percent of the budget; with more of it in use, a lane that has parked takes nothing more in
)

// park takes an entry out of the window.
func (l *lane) park(e *entry) {
	if e.parked {
		return
	}
	e.parked = true
	l.parked++
	l.release(e)
	l.restock()
}

// parkChain parks an entry and what is blocked behind it.
func (l *lane) parkChain(e *entry) {
	l.park(e)
	for next := e.next; next != nil; next = next.next {
		if next.state == blocked {
			l.park(next)
		}
	}
}

// unpark takes an entry back into the window, which may be over its bound for a while by it.
func (l *lane) unpark(e *entry) {
	if e.parked {
		e.parked = false
		l.parked--
	}
}

// release gives up an entry's event, which is read again when its turn comes. What names it is kept.
func (l *lane) release(e *entry) {
	if e.event == nil {
		return
	}
	ref := refOf(eventlog.Position{Topic: l.p.id.Topic, Partition: l.p.id.ID, Offset: e.offset}, e.event)
	kept := int64(refCost)
	for _, s := range []*string{&ref.ID, &ref.Type, &ref.Source, &ref.Subject, &ref.Key} {
		*s = strings.Clone(*s) // else it could hold all of the event
		kept += int64(len(*s))
	}
	e.event, e.ref = nil, &ref
	e.held += kept - e.bytes
	l.bytes += kept - e.bytes
	l.p.d.budget.force(kept - e.bytes)
	e.bytes = kept
}

// active is how many entries take a place in the window.
func (l *lane) active() int { return l.live - l.parked }

// full says that the lane is at a bound of its own, so that nothing opens it but an entry that finishes.
func (l *lane) full() bool {
	// What was pending before this node took over was within the bounds of the node that took it in.
	return l.active() >= l.window() || l.parked >= l.p.d.parked && len(l.unloaded) == 0
}

// room says whether the lane can take another event.
func (l *lane) room() bool {
	b := &l.p.d.budget
	switch {
	case l.full(), l.stocked(), l.active() > 0 && b.full():
		return false
	case l.parked > 0 && len(l.unloaded) == 0:
		return b.below(parkShare)
	}
	return true
}

// waitedLong says that a run has waited so long for one of its attempts that its event may stand in _dalamb.delayed.
func waitedLong(attempts []function.Attempt) bool {
	for i := range attempts {
		if a := &attempts[i]; !a.Next.IsZero() && a.Next.Sub(a.Start) > parkAfter {
			return true
		}
	}
	return false
}

// setHalt notes which keys are paused, and lets those go on that no longer are.
func (l *lane) setHalt() {
	before := l.halt
	l.halt = nil
	for _, key := range l.t.PausedKeys {
		if l.halt == nil {
			l.halt = map[uint64]bool{}
		}
		l.halt[l.p.d.hash(key)] = true
	}
	if len(before) == 0 && len(l.halt) == 0 || l.removed {
		return
	}
	for n := l.ready.len(); n > 0; n-- {
		l.enable(l.ready.pop())
	}
	for _, e := range l.entries {
		if e.state == halted && !l.halt[e.name] {
			l.enable(e)
		}
	}
}
