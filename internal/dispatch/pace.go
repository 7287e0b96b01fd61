package dispatch

import "time"

// paceBurst is how far a gate may catch up with its rate at once.
const paceBurst = 100 * time.Millisecond

// hold says until when nothing may start at a gate with a rate, in starts a second; zero = something may start now, and is counted.
func (g *gate) hold(now time.Time, rate float64) time.Time {
	if rate <= 0 {
		return time.Time{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next.After(now) {
		return g.next
	}
	if late := now.Add(-paceBurst); g.next.Before(late) {
		g.next = late
	}
	g.next = g.next.Add(time.Duration(float64(time.Second) / rate))
	return time.Time{}
}

// rate is how many runs of a lane may start a second on this node: its share of the whole, by the partitions that it owns. 0 = no bound.
func (l *lane) rate() float64 {
	r := l.t.Replay
	if r == nil || r.Rate <= 0 {
		return 0
	}
	return r.Rate * l.p.d.share(l.p.id.Topic, len(r.End))
}

// share is the part of a topic's partitions that this node owns.
func (d *Dispatcher) share(topic string, partitions int) float64 {
	owned := 0
	for _, p := range d.owned() {
		if p.id.Topic == topic {
			owned++
		}
	}
	return min(1, float64(max(1, owned))/float64(max(1, partitions)))
}

// sleep keeps a lane from starting anything until a time.
func (p *partition) sleep(l *lane, until time.Time) {
	l.asleep = until
	p.asleep = append(p.asleep, l)
}

// rouse wakes the lanes whose time has come.
func (p *partition) rouse(now time.Time) {
	kept := p.asleep[:0]
	for _, l := range p.asleep {
		if l.asleep.After(now) {
			kept = append(kept, l)
			continue
		}
		l.asleep = time.Time{}
		p.wake(l)
	}
	clear(p.asleep[len(kept):])
	p.asleep = kept
}

// onPace says that a lane which holds a slot of its gate may start something; else the slot is given back, and the lane sleeps.
func (p *partition) onPace(l *lane) bool {
	until := l.gate.hold(p.d.now(), l.rate())
	if until.IsZero() {
		return true
	}
	l.gate.release()
	p.sleep(l, until)
	return false
}
