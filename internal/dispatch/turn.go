package dispatch

import "time"

// Runs that were under way when a node died are suspects. On each node they run one after another, so that the next death has one cause.

// takeTurn begins the first of the suspects when no other suspect runs on this node.
func (p *partition) takeTurn(sc scope) {
	if p.turn != nil || p.alone.len() == 0 {
		return
	}
	w := &waiter{}
	w.granted = func() { p.box.post(&turnGranted{w: w}) }
	if !p.d.solo.acquire(w) {
		p.turn = w
		return
	}
	p.myTurn(sc)
}

// myTurn begins the first suspect that may, or gives the node's turn, which is taken, back. The turn is not for waiting: a suspect is put back whose environment has
// come to owe events, or of whose lane another one has just found no instance.
func (p *partition) myTurn(sc scope) {
	for p.alone.len() > 0 {
		e := p.alone.pop()
		full := e.lane.fullUntil.After(p.d.now())
		if !full && p.solvent(e.lane) {
			e.turn = true
			p.prepare(sc, e)
			return
		}
		if full {
			e.due = e.lane.fullUntil
		}
		p.putBack(e)
	}
	p.d.solo.release()
}

type turnGranted struct{ w *waiter }

func (m *turnGranted) apply(sc scope, p *partition) {
	if p.turn != m.w {
		return
	}
	p.turn = nil
	p.myTurn(sc)
	p.takeTurn(sc)
}

// turnPatience is how long a suspect that has the turn waits for an instance which its function, its environment or the node has no room for, when that came to
// nothing so often before: others wait behind it, and it has its next try when they had theirs. It grows, since calls that take the room may be long ones. Its place
// among those that wait for an instance is that of its first try (see fleet.Call), or calls without such a bound, which keep theirs, would stand before it for ever.
func turnPatience(failures int) time.Duration {
	return min(time.Minute, 100*time.Millisecond<<min(failures, 10))
}

// endTurn lets the next suspect begin if e had the turn.
func (p *partition) endTurn(e *entry) {
	if e.turn {
		e.turn = false
		p.d.solo.release()
	}
}
