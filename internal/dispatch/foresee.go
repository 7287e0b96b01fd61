package dispatch

import (
	"time"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// What a lane can start is a call of the fleet at once, where it waits for an instance and one is started for it. What cannot begin yet
// only this room knows of: a batch that gathers, an attempt that waits for its time or for its place in the trigger's rate, the first
// attempts of a partition, before which the log has to say that it is in use. The fleet is told of them so much earlier as foresight, so
// that their instances are there when their turn comes.

const (
	foresight = 2 * time.Second
	// foreseeMost is how many that wait for their time are looked at: what is looked at each time costs each time, and a fleet starts only
	// some at a time anyway.
	foreseeMost = 256
)

// Expecter is an Invoker that can be told of calls ahead.
type Expecter interface {
	// Expect says that n calls like c come soon; over takes that back. Neither blocks.
	Expect(c fleet.Call, n int) (over func())
}

// foreseen is what the fleet was told of a lane.
type foreseen struct {
	n    int
	over func()
	sum  int  // scratch of foresee
	seen bool // in the partition's list
}

// expect tells the fleet of n calls instead of what it was told before.
func (l *lane) expect(n int) {
	if n == l.foreseen.n {
		return
	}
	before := l.foreseen.over
	l.foreseen.n, l.foreseen.over = n, nil
	if n > 0 {
		c := fleet.Call{Function: l.t.Function, Alias: function.LiveAlias}
		if r := l.t.Replay; r != nil {
			c.Version = r.Version
		}
		l.foreseen.over = l.p.d.fleet.Expect(c, n)
	}
	if before != nil {
		before()
	}
}

// upcoming gives the times at which something can begin that cannot yet.
func (p *partition) upcoming(at func(time.Time)) {
	if len(p.clock) > 0 {
		at(p.clock[0].due)
	}
	for _, l := range p.paced {
		at(l.placeAt)
	}
	for _, l := range p.gathering {
		at(l.gathers)
	}
}

// foresee tells the fleet what comes soon.
func (p *partition) foresee(now time.Time) {
	p.crowded = false
	if p.d.fleet == nil || len(p.expectant)+len(p.clock)+len(p.paced)+len(p.gathering) == 0 && (p.opened || !p.wantOpen) {
		return
	}
	for _, l := range p.expectant {
		l.foreseen.sum = 0
	}
	soon := func(l *lane, n int) {
		if n == 0 || l.paused() || p.draining {
			return
		}
		if !l.foreseen.seen {
			l.foreseen.seen = true
			p.expectant = append(p.expectant, l)
		}
		l.foreseen.sum += n
	}
	horizon := now.Add(foresight)
	if left := p.clock.before(horizon, 0, foreseeMost, func(e *entry) { soon(e.lane, 1) }); left < foreseeMost {
		p.crowded = len(p.clock) > foreseeMost-left
	}
	for _, l := range p.paced {
		if l.placeAt.Before(horizon) && l.ready.len() > 0 {
			soon(l, 1)
		}
	}
	for _, l := range p.gathering {
		if !l.gathers.IsZero() && l.gathers.Before(horizon) && l.ready.len() > 0 {
			soon(l, 1)
		}
	}
	if !p.opened && p.wantOpen {
		for _, l := range p.runnable.items[p.runnable.head:] {
			soon(l, l.nextInvocations())
		}
	}
	kept := p.expectant[:0]
	for _, l := range p.expectant {
		if l.expect(min(l.foreseen.sum, l.gate.free())); l.foreseen.sum > 0 {
			kept = append(kept, l)
			continue
		}
		l.foreseen.seen = false
	}
	clear(p.expectant[len(kept):])
	p.expectant = kept
}

// nextInvocations is how many invocations what is ready makes.
func (l *lane) nextInvocations() int {
	if b := l.t.Batch; b != nil {
		return (l.ready.len() + b.Size - 1) / b.Size
	}
	return l.ready.len()
}

// before visits the entries, from the i-th down the heap, that become due before a time, at most so many, and returns how many of these
// are left.
func (c clock) before(at time.Time, i, most int, visit func(*entry)) int {
	if i >= len(c) || most == 0 || !c[i].due.Before(at) {
		return most
	}
	if c[i].state == waiting {
		visit(c[i])
	}
	most--
	for child := 2*i + 1; child <= 2*i+2; child++ {
		most = c.before(at, child, most, visit)
	}
	return most
}

// free is how many slots of a gate nobody uses or waits for.
func (g *gate) free() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.slots-g.used-g.lent-len(g.queue))
}
