package dispatch

import (
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
)

// portion is the part of a topic that this node works on. What a trigger may do over the installation is shared out by it: nodes need
// not talk to each other, and each knows its part from what it owns.
type portion struct{ owned, all int32 }

// slots is how many runs of a trigger this node makes at a time, at least one.
func (s portion) slots(t *catalog.Trigger) int {
	if t.Concurrency == 0 {
		return t.Max
	}
	n := t.Concurrency
	if s.owned < s.all {
		n = int(int64(n) * int64(s.owned) / int64(s.all))
	}
	return max(1, min(n, t.Max))
}

// every is the distance between attempts of a trigger, or of a replay, on this node; 0 = any.
func (s portion) every(t *catalog.Trigger) time.Duration {
	var every float64
	switch {
	case t.Replay != nil && t.Replay.Rate > 0:
		every = float64(time.Second) / t.Replay.Rate
	case t.Rate.Count > 0:
		every = float64(t.Rate.Per) / float64(t.Rate.Count)
	default:
		return 0
	}
	if 0 < s.owned && s.owned < s.all {
		every *= float64(s.all) / float64(s.owned)
	}
	return max(1, time.Duration(every))
}

// shared says that a trigger has bounds that nodes share out.
func shared(t *catalog.Trigger) bool {
	return t.Concurrency > 0 || t.Rate.Count > 0 || t.Replay != nil && t.Replay.Rate > 0
}

// shareOf is this node's part of a trigger's topic; zero for a trigger that needs none. As long as nobody has looked how wide the topic
// is, what this node owns is taken for all.
func (d *Dispatcher) shareOf(t *catalog.Trigger) (s portion) {
	if !shared(t) {
		return s
	}
	d.mu.Lock()
	for id := range d.partitions {
		if id.Topic == t.Topic {
			s.owned++
		}
	}
	d.mu.Unlock()
	s.all = max(s.owned, d.topics.partitions(t.Topic))
	return s
}

// reshare fits the gates to what this node owns now.
func (d *Dispatcher) reshare() {
	for _, t := range d.plan().triggers {
		if shared(t) {
			d.gates.fit(t, d.shareOf(t))
		}
	}
}
