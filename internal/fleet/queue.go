package fleet

import (
	"slices"
	"time"
)

// waiter is a call that waits for an instance.
type waiter struct {
	since   time.Time     // when it first asked
	grant   grant         // valid when granted is closed
	granted chan struct{} // closed once, by who takes the waiter off the queue
}

func (w *waiter) give(g grant) {
	w.grant = g
	close(w.granted)
}

// queueUp gives a waiter its place: behind all that asked no later than it.
func (p *pool) queueUp(w *waiter) {
	n := len(p.queue)
	for n > 0 && p.queue[n-1].since.After(w.since) {
		n--
	}
	p.queue = slices.Insert(p.queue, n, w)
}

// unqueue takes a waiter off the queue; false = somebody has taken it off to serve it.
func (p *pool) unqueue(w *waiter) bool {
	n := slices.Index(p.queue, w)
	if n < 0 {
		return false
	}
	p.queue = slices.Delete(p.queue, n, n+1)
	return true
}

// pop takes the first waiter off the queue.
func (p *pool) pop() *waiter {
	if len(p.queue) == 0 {
		return nil
	}
	w := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return w
}

// waitsSince is when the first of the calls that wait came; zero = none waits.
func (p *pool) waitsSince() (t time.Time) {
	if len(p.queue) > 0 {
		t = p.queue[0].since
	}
	return t
}

// tire takes a call whose patience is over off the queue, and says why it had to wait. nil = it is served in this moment, or something starts: it waits on.
func (f *Fleet) tire(p *pool, w *waiter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.starting > 0 || !p.unqueue(w) {
		return nil
	}
	return f.late(p, nil)
}
