package gateway

import (
	"slices"
	"sync"
	"time"
)

// durations are how long the last answers took. Safe for concurrent use.
type durations struct {
	mu     sync.Mutex
	last   [256]time.Duration
	n      int // that were added
	sorted []time.Duration
}

// Of how many answers a percentile is known, and how many may come before it is computed anew.
const (
	enoughDurations = 20
	renewDurations  = 16
)

func (d *durations) add(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[d.n%len(d.last)] = took
	d.n++
	if d.n >= enoughDurations && (d.n-enoughDurations)%renewDurations == 0 {
		d.sorted = append(d.sorted[:0], d.last[:min(d.n, len(d.last))]...)
		slices.Sort(d.sorted)
	}
}

// percentile is as long as p of a hundred answers took at most; false = too few are known.
func (d *durations) percentile(p int) (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sorted == nil {
		return 0, false
	}
	return d.sorted[len(d.sorted)*p/100], true
}
