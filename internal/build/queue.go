package build

import (
	"context"
	"slices"
	"sync"
)

// queue lets so many builds in at a time, and of each scope one: they share what they keep, which package managers do not expect of two at once.
// The next place is for the scope that had none for the longest time, so that nobody who builds much is in the way of who builds seldom.
type queue struct {
	mu      sync.Mutex
	free    int
	turns   int64            // that there were
	last    map[string]int64 // turn of each scope that builds or waits; 0 = it had none since it came
	busy    map[string]bool  // scopes that build
	waiting []*waiter        // in the order in which they came
}

type waiter struct {
	scope string
	turn  chan struct{} // closed when it is its turn
}

func newQueue(places int) *queue {
	return &queue{free: places, last: map[string]int64{}, busy: map[string]bool{}}
}

// ahead is what a build waits for.
type ahead struct {
	builds int  // that wait longer, and one that is built
	own    bool // some are of the same scope
}

// enter waits for a turn; tell is called once, with what it waits for, if it has to wait. The caller calls leave when it is done.
func (q *queue) enter(ctx context.Context, scope string, tell func(ahead)) (leave func(), err error) {
	leave = func() { q.leave(scope) }
	w := &waiter{scope: scope, turn: make(chan struct{})}
	before, now := q.join(w)
	if now {
		return leave, nil
	}
	tell(before)
	select {
	case <-w.turn:
		return leave, nil
	case <-ctx.Done():
	}
	if !q.give(w) {
		leave() // it had its turn in the same moment
	}
	return nil, context.Cause(ctx)
}

// join takes a place, or waits for one.
func (q *queue) join(w *waiter) (before ahead, now bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before.own = q.busy[w.scope] || slices.ContainsFunc(q.waiting, func(other *waiter) bool { return other.scope == w.scope })
	q.waiting = append(q.waiting, w)
	before.builds = len(q.waiting)
	q.next()
	return before, !slices.Contains(q.waiting, w)
}

// give says that nobody waits for a turn any longer; false = it has come.
func (q *queue) give(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.forget(w.scope)
	return true
}

func (q *queue) leave(scope string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	delete(q.busy, scope)
	q.forget(scope)
	q.next()
}

// next gives free places away. q.mu is held.
func (q *queue) next() {
	for q.free > 0 {
		best := -1
		for i, w := range q.waiting {
			if !q.busy[w.scope] && (best < 0 || q.last[w.scope] < q.last[q.waiting[best].scope]) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		w := q.waiting[best]
		q.waiting = slices.Delete(q.waiting, best, best+1)
		q.free--
		q.turns++
		q.busy[w.scope], q.last[w.scope] = true, q.turns
		close(w.turn)
	}
}

// forget drops what is known of a scope that neither builds nor waits. q.mu is held.
func (q *queue) forget(scope string) {
	if !q.busy[scope] && !slices.ContainsFunc(q.waiting, func(w *waiter) bool { return w.scope == scope }) {
		delete(q.last, scope)
	}
}
