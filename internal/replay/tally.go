package replay

import (
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/function"
)

// tally is a report that grows.
type tally struct {
	mu       sync.Mutex
	report   function.ReplayReport
	times    Times
	finished map[int32]bool
}

func newTally() *tally { return &tally{finished: map[int32]bool{}} }

// reset begins anew.
func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report, t.times, t.finished = function.ReplayReport{}, Times{}, map[int32]bool{}
}

// add counts one run.
func (t *tally) add(r *function.ReplayedRun, v verdict, d *function.ReplayDifference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.report
	if r.State == function.RunDiscarded || r.State == function.RunExpired {
		c.NotRun++
		return
	}
	c.Runs++
	if r.State != function.RunSucceeded {
		c.Failing++
	}
	switch {
	case v.original == nil:
		c.NoOriginal++
		return
	case v.unknown:
		c.NotComparable++
	case v.kind == "":
		c.Same++
	case v.kind == function.ReplayNewlyFailing:
		c.NewlyFailing++
	case v.kind == function.ReplayNewlyPassing:
		c.NewlyPassing++
	default:
		c.Different++
	}
	if d != nil {
		c.Differences = append(c.Differences, *d)
	}
	t.times.Add(v.original, &r.Run)
}

// wantsDifference says whether the report has room for another difference.
func (t *tally) wantsDifference() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.report.Differences) < maxDifferences
}

func (t *tally) finish(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished[partition] = true
}

// over says whether nothing is left to do in so many partitions.
func (t *tally) over(partitions []int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !slices.ContainsFunc(partitions, func(p int32) bool { return !t.finished[p] })
}

// show is the report as it is now.
func (t *tally) show() function.ReplayReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.report
	r.Differences = append([]function.ReplayDifference{}, r.Differences...)
	t.times.Into(&r)
	return r
}
