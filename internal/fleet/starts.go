package fleet

import (
	"runtime"
	"slices"
	"time"
)

// A start counts for those that are made at a time as long as the last one of the same version has computed, and at least startLeast. Where
// that is not known it counts for startCounts: one that lasts longer waits for something more often than that it computes.
const (
	startCounts = 250 * time.Millisecond
	startLeast  = 25 * time.Millisecond
)

// startCounts is how long a start of this version counts.
func (p *pool) startCounts() time.Duration {
	if p.startCPU == 0 {
		return startCounts
	}
	return min(max(p.startCPU, startLeast), startCounts)
}

// starts bounds how many instances are started at a time, so that a burst of cold calls does not take the CPU from the warm ones, and all
// but one for one function, so that another need not wait for them. Guarded by Fleet.mu.
type starts struct {
	most  int
	begun []*instance // that start, in the order in which they began
}

func newStarts(most int) starts {
	if most <= 0 {
		most = max(4, 2*runtime.GOMAXPROCS(0))
	}
	return starts{most: most}
}

// may says whether a function may begin a start, and otherwise when that may be so by the passing of time alone.
func (s *starts) may(of *share, now time.Time) (ok bool, again time.Time) {
	all, own := 0, 0
	for _, i := range s.begun {
		ends := i.created.Add(i.pool.startCounts())
		if !now.Before(ends) {
			continue
		}
		again = earlier(again, ends)
		all++
		if i.pool.share == of {
			own++
		}
	}
	return all < s.most && own < max(1, s.most-1), again
}

func (s *starts) begin(i *instance) { s.begun = append(s.begun, i) }

func (s *starts) end(i *instance) {
	if n := slices.Index(s.begun, i); n >= 0 {
		s.begun = slices.Delete(s.begun, n, n+1)
	}
}
