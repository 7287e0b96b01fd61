//go:build !race

// The race detector makes sync.Pool drop what it is given at random, so allocations are counted without it.

package match_test

import "testing"

// In the steady state matching needs no memory, whatever the rules.
func TestMatchEventDoesNotAllocate(t *testing.T) {
	sets := hardSets(300)
	sets["mixed"] = mixedPatterns(300)
	for name, patterns := range sets {
		set, e := newSet(t, patterns), benchEvent()
		out := make([]int, 0, len(patterns))
		got := testing.AllocsPerRun(200, func() { out = set.MatchEvent(e, out[:0]) })
		// A collection may empty the pool in between; AllocsPerRun rounds that away.
		if got >= 1 {
			t.Errorf("%s: %v allocations for each event, want 0", name, got)
		}
	}
}
