package gateway

import (
	"slices"
	"sync"
)

// crowd is the memory for bodies of which nobody knows yet who sends them: where the body itself is signed, anybody may send one. When it is
// taken, the one that is longest on its way makes room for the next: what a git server sends is here in a moment, and who sends a part and waits
// keeps nobody out.
type crowd struct {
	most int64 // bytes

	mu   sync.Mutex
	used int64
	all  []*claim // by when they began
}

// claim is one body's part.
type claim struct {
	crowd *crowd
	// end ends the reading of the body. It must not block: it is called while the crowd is locked, so that the connection still is this
	// request's.
	end func()

	// Under crowd.mu.
	held  int64
	ended bool // it made room
	whole bool // it came; it makes none any longer
}

func (c *crowd) enter(end func()) *claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &claim{crowd: c, end: end}
	c.all = append(c.all, one)
	return one
}

// take takes more room; false when there is none even if all others made theirs, or when this one made its own.
func (one *claim) take(n int64) bool {
	c := one.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	room := c.most - c.used
	for _, other := range c.all {
		if other.yields(one) {
			room += other.held
		}
	}
	if one.ended || n > room {
		return false
	}
	for _, other := range c.all {
		if c.used+n <= c.most {
			break
		}
		if !other.yields(one) {
			continue
		}
		other.ended = true
		c.used -= other.held
		other.end()
	}
	one.held += n
	c.used += n
	return true
}

// yields says whether a body can make room for another one.
func (one *claim) yields(to *claim) bool {
	return one != to && !one.ended && !one.whole && one.held > 0
}

// arrived says whether the body may be used: whether it did not have to make room.
func (one *claim) arrived() bool {
	one.crowd.mu.Lock()
	defer one.crowd.mu.Unlock()
	one.whole = !one.ended
	return one.whole
}

// leave gives all of it back.
func (one *claim) leave() {
	c := one.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	if !one.ended {
		c.used -= one.held
	}
	c.all = slices.DeleteFunc(c.all, func(other *claim) bool { return other == one })
}
