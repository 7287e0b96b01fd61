package gateway

import (
	"math"
	"slices"
	"time"
)

// tide finds how many requests a function can do at a time, by how long its answers take. Where they take longer than they do without a crowd, what
// is let in only waits: so there is less of it then, in proportion, and more again, step by step, while all of it is used and answers take as long as
// ever. It looks at the middle answer of a round, so that a few slow ones do not count. Not safe for concurrent use.
type tide struct {
	most  float64
	limit float64
	floor time.Duration // that an answer takes without a crowd; 0 = not known
	round int
	began time.Time // the round
	took  []time.Duration
	peak  int // requests under way at a time, in the round
	ebb   bool
	next  time.Time // when the floor is to be looked at again
}

// How a tide goes.
const (
	tideStart   = 20                     // requests at a time that it begins with
	tideAnswers = 16                     // of a round, at least
	tideTime    = 100 * time.Millisecond // of a round, at least
	tideSlack   = 1.3                    // so many times the floor is no crowd yet
	tideEbb     = 20 * time.Second       // after so long under load half as many are let in for a round, to see what the floor is now
)

func newTide(most int, now time.Time) *tide {
	return &tide{most: float64(most), limit: float64(min(most, tideStart)), began: now, next: now.Add(time.Second)}
}

// level is how many requests may be under way now.
func (t *tide) level() int {
	if t.ebb {
		return max(1, int(t.limit/2))
	}
	return int(t.limit)
}

// answered takes the time of an answer to a request that was let in during a round. What began in an earlier one tells of that.
func (t *tide) answered(round int, now time.Time, took time.Duration) {
	if round != t.round {
		return
	}
	if len(t.took) < 64*tideAnswers { // of a fast function the first thousand will do
		t.took = append(t.took, took)
	}
	if len(t.took) < tideAnswers || now.Sub(t.began) < tideTime {
		return
	}
	slices.Sort(t.took)
	t.turn(max(1, t.took[len(t.took)/2]), now)
	t.round++
	t.began, t.took, t.peak = now, t.took[:0], 0
}

// turn ends a round, whose middle answer took so long.
func (t *tide) turn(middle time.Duration, now time.Time) {
	full := t.peak >= t.level()
	switch {
	case t.ebb:
		t.ebb, t.floor, t.next = false, middle, now.Add(tideEbb)
		return
	case t.floor == 0 || middle < t.floor:
		t.floor = middle
	}
	if crowd := tideSlack * float64(t.floor) / float64(middle); crowd < 1 {
		if t.peak <= 1 { // nobody was there to wait for: the function has become slower by itself
			return
		}
		t.limit = max(1, t.limit*max(.5, crowd))
	} else if full {
		t.limit = min(t.most, t.limit+math.Sqrt(t.limit))
	}
	t.ebb = full && now.After(t.next)
}
