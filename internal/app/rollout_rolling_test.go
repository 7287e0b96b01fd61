package app_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// A rolling roll-out takes each of its steps, in order and for as long as it says, and is told to the log step by step, while those who call lose nothing.
func TestRollingTakesEachOfItsSteps(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir())
	c := newColors(t, n)
	c.is("blue")
	const every = 500 * time.Millisecond
	c.spec.Rollout = c.spec.Rollout.As(function.StrategyRolling)
	c.spec.Rollout.Every, c.spec.Rollout.Watch, c.spec.Rollout.Gates.Latency = function.Duration(every), function.Duration(every), 0
	l := startLoad(n, 4)
	defer l.stop()
	d := c.is("red")
	r := c.end(d)
	if r.State != function.RolloutSucceeded {
		t.Fatalf("it is %s: %s", r.State, r.Reason)
	}
	after := l.since()
	until(t, "answers of the new version alone", func() bool { return after()["red"] > 200 })
	l.stop()
	l.work.Wait()
	if got := slices.Sorted(maps.Keys(l.answers)); !slices.Equal(got, []string{"blue", "red"}) {
		t.Errorf("answers = %v, want both colours and no loss", l.answers)
	}

	want := []int{25, 50, 75, 100}
	var taken []int
	for i, s := range r.Taken {
		taken = append(taken, s.Weight)
		end := r.Ended
		if i+1 < len(r.Taken) {
			end = r.Taken[i+1].At
		}
		if lasted := end.Sub(s.At); lasted < every {
			t.Errorf("the step to %d%% lasted %s, want at least %s", s.Weight, lasted, every)
		}
		if s.Facts == nil || s.Facts.New.Invocations == 0 {
			t.Errorf("the step to %d%% was judged by %+v, want what the new version did", s.Weight, s.Facts)
		}
	}
	if !slices.Equal(taken, want) {
		t.Errorf("it took the steps %v, want %v", taken, want)
	}
	over := 0 // steps that the log says were over before the next began
	for _, f := range n.facts(function.TopicControl) {
		if f.Type == event.TypeRolloutStepped {
			over++
		}
	}
	if over != len(want) {
		t.Errorf("the log has %d steps, want %d", over, len(want))
	}
	n.stop()
}
