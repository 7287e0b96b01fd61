package dispatch

import (
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/catalog"
)

// gate bounds how many invocations of one trigger run at a time on this node, over all partitions, and how often one begins. Who has to wait gets a slot in
// the order of asking.
type gate struct {
	mu    sync.Mutex
	slots int
	used  int
	queue []*waiter

	elder   *gate   // that this one yields to; nil = to none
	younger []*gate // that yield to this one
	lent    int     // slots of this one that they use

	pace pacer
}

// waiter is one who waits at a gate; granted is called, without locks held, when a slot has become its own. It must not block.
type waiter struct{ granted func() }

func newGate(slots int) *gate { return &gate{slots: max(1, slots)} }

// acquire takes a slot, or puts w in the queue and returns false.
func (g *gate) acquire(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used < g.slots && len(g.queue) == 0 && g.borrow() {
		g.used++
		return true
	}
	g.queue = append(g.queue, w)
	return false
}

// release gives a slot back, to the first who waits if there is one.
func (g *gate) release() {
	g.mu.Lock()
	g.used--
	g.repay()
	next := g.admit()
	elder := g.elder
	g.mu.Unlock()
	grant(next)
	g.offer()
	elder.offer()
}

// leave takes w out of the queue. It returns false when w has been granted a slot already, which is then w's to release.
func (g *gate) leave(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return true
}

// resize sets the number of slots. Slots that are taken stay taken.
func (g *gate) resize(slots int) {
	g.mu.Lock()
	g.slots = max(1, slots)
	next := g.admit()
	g.mu.Unlock()
	grant(next)
	g.offer()
}

// admit takes from the queue those for whom there is a slot. Called with mu held.
func (g *gate) admit() []*waiter {
	n := 0
	for most := min(len(g.queue), g.slots-g.used); n < most && g.borrow(); {
		n++
	}
	if n == 0 {
		return nil
	}
	next := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.used += n
	return next
}

func grant(ws []*waiter) {
	for _, w := range ws {
		w.granted()
	}
}

// gates holds the gate of every trigger.
type gates struct {
	mu sync.Mutex
	of map[int64]*gate // by trigger UID
}

// get returns the gate of a trigger, fitted to it and to the part of its topic that this node works on.
func (gs *gates) get(t *catalog.Trigger, s portion) *gate {
	gs.mu.Lock()
	g := gs.of[t.UID]
	if g == nil {
		g = newGate(s.slots(t))
		gs.of[t.UID] = g
	}
	gs.mu.Unlock()
	g.fit(t, s)
	return g
}

// fit fits the gate of a trigger if there is one.
func (gs *gates) fit(t *catalog.Trigger, s portion) {
	gs.mu.Lock()
	g := gs.of[t.UID]
	gs.mu.Unlock()
	if g != nil {
		g.fit(t, s)
	}
}

func (g *gate) fit(t *catalog.Trigger, s portion) {
	g.pace.set(s.every(t))
	g.resize(s.slots(t))
}

// prune forgets the gates of triggers that are gone. Lanes that still run something keep theirs until they end.
func (gs *gates) prune(alive map[int64]*catalog.Trigger) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for uid, g := range gs.of {
		if alive[uid] == nil {
			g.yieldTo(nil)
			delete(gs.of, uid)
		}
	}
}
