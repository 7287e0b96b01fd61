package dispatch

import "slices"

// A gate can yield to another, its elder: it grants a slot only while the elder has one that nobody uses or waits for. What it has
// granted stays granted. The elder never waits for it. Locks are taken younger first.

// yieldTo makes g yield to elder; nil = to nobody any more.
func (g *gate) yieldTo(elder *gate) {
	g.mu.Lock()
	before := g.elder
	if before == elder {
		g.mu.Unlock()
		return
	}
	g.elder = elder
	if before != nil {
		before.mu.Lock()
		before.lent -= g.used
		before.younger = slices.DeleteFunc(before.younger, func(y *gate) bool { return y == g })
		before.mu.Unlock()
	}
	if elder != nil {
		elder.mu.Lock()
		elder.lent += g.used
		elder.younger = append(elder.younger, g)
		elder.mu.Unlock()
	}
	next := g.admit()
	g.mu.Unlock()
	grant(next)
}

// borrow takes one slot of the elder's that is idle. Called with g.mu held.
func (g *gate) borrow() bool {
	e := g.elder
	if e == nil {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) > 0 || e.used+e.lent >= e.slots {
		return false
	}
	e.lent++
	return true
}

// repay gives back a slot that was borrowed. Called with g.mu held.
func (g *gate) repay() {
	e := g.elder
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lent--
}

// offer lets the younger gates look whether there is an idle slot now. Called without locks held.
func (g *gate) offer() {
	if g == nil {
		return
	}
	g.mu.Lock()
	younger := slices.Clone(g.younger)
	g.mu.Unlock()
	for _, y := range younger {
		y.mu.Lock()
		next := y.admit()
		y.mu.Unlock()
		grant(next)
	}
}
