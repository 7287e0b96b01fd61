package dispatch

import (
	"sync"
	"time"
)

// paceSlack is how far a pacer lets starts catch up that came late, as those of a timer do. More than that is lost, so that a
// trigger that had nothing to do does not begin with a burst.
const paceSlack = 50 * time.Millisecond

// pacer spaces the attempts of one trigger on this node: each that asks gets the next place in time, so that partitions take turns.
type pacer struct {
	mu    sync.Mutex
	every time.Duration // 0 = no bound
	next  time.Time
}

// set changes the distance. Places that were given stay.
func (p *pacer) set(every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if every < p.every {
		p.next = time.Time{}
	}
	p.every = every
}

// take gives a place in time, which is the caller's to use; zero = now.
func (p *pacer) take(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.every == 0 {
		return time.Time{}
	}
	at := p.next
	if late := now.Add(-paceSlack); at.Before(late) {
		at = late
	}
	p.next = at.Add(p.every)
	if at.After(now) {
		return at
	}
	return time.Time{}
}

// onPace says whether the lane has a place in time for its next attempt. It takes one when it has none, and if that is to come the
// lane is woken then. A place that is not used at once is kept.
func (p *partition) onPace(l *lane) bool {
	if l.placed {
		return true
	}
	if !l.placeAt.IsZero() {
		return false
	}
	at := l.gate.pace.take(p.d.now())
	if at.IsZero() {
		l.placed = true
		return true
	}
	l.placeAt = at
	p.paced = append(p.paced, l)
	return false
}

// ripen wakes the lanes whose place in time has come.
func (p *partition) ripen(now time.Time) {
	kept := p.paced[:0]
	for _, l := range p.paced {
		if l.placeAt.After(now) {
			kept = append(kept, l)
			continue
		}
		l.placed, l.placeAt = !l.placeAt.IsZero(), time.Time{}
		p.wake(l)
	}
	clear(p.paced[len(kept):])
	p.paced = kept
}
