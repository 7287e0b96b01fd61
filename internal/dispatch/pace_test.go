package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAPacerKeepsItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(time.Microsecond), int64(time.Minute)).Draw(t, "every"))
		var p pacer
		p.set(every)
		now := time.UnixMilli(1e12)
		var starts []time.Time
		for range rapid.IntRange(1, 300).Draw(t, "asked") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*every)).Draw(t, "pause")))
			at := p.take(now)
			if at.IsZero() {
				at = now
			}
			if at.Before(now) {
				t.Fatalf("a place at %s was given at %s", at, now)
			}
			starts = append(starts, at)
		}
		slices.SortFunc(starts, time.Time.Compare)
		for i := range starts {
			for j := i + 1; j < len(starts); j++ {
				within := starts[j].Sub(starts[i])
				if most := int((within+paceSlack)/every) + 2; j-i+1 > most {
					t.Fatalf("%d starts within %s, want at most %d with one every %s", j-i+1, within, most, every)
				}
			}
		}
	})
}

func TestSharesOfNodesAreTheWhole(t *testing.T) {
	tr := func(concurrency, most int) *catalog.Trigger {
		return &catalog.Trigger{Max: most, Trigger: function.Trigger{Rules: function.Rules{Concurrency: concurrency}}}
	}
	for _, c := range []struct {
		share portion
		of    *catalog.Trigger
		want  int
	}{
		{portion{}, tr(0, 40), 40}, {portion{8, 8}, tr(10, 40), 10}, {portion{8, 8}, tr(100, 40), 40}, {portion{4, 8}, tr(10, 40), 5},
		{portion{3, 8}, tr(10, 40), 3}, {portion{1, 8}, tr(2, 40), 1}, {portion{0, 8}, tr(10, 40), 1}, {portion{}, tr(7, 40), 7},
	} {
		if got := c.share.slots(c.of); got != c.want {
			t.Errorf("share %+v of concurrency %d = %d slots, want %d", c.share, c.of.Concurrency, got, c.want)
		}
	}
	hundred := function.Rate{Count: 100, Per: time.Second}
	for _, c := range []struct {
		share portion
		rate  function.Rate
		want  time.Duration
	}{
		{portion{8, 8}, function.Rate{}, 0}, {portion{8, 8}, hundred, 10 * time.Millisecond}, {portion{2, 8}, hundred, 40 * time.Millisecond},
		{portion{}, hundred, 10 * time.Millisecond}, {portion{8, 8}, function.Rate{Count: 6, Per: time.Hour}, 10 * time.Minute},
	} {
		if got := c.share.every(&catalog.Trigger{Trigger: function.Trigger{Rules: function.Rules{Rate: c.rate}}}); got != c.want {
			t.Errorf("share %+v of %s = every %s, want %s", c.share, c.rate, got, c.want)
		}
	}
}

// TestConcurrencyAndRateHoldOverPartitions counts how many run at a time and how soon, retries and all partitions included.
func TestConcurrencyAndRateHoldOverPartitions(t *testing.T) {
	w := newWorld(t, setting{partitions: 4})
	defer w.close()
	const rate, events = 100, 40
	w.deploy("few", function.Trigger{Name: "t", Rules: function.Rules{Concurrency: 3}})
	w.deploy("slow", function.Trigger{Name: "t", Rules: function.Rules{Rate: function.Rate{Count: rate, Per: time.Second}}})
	var running, most atomic.Int32
	var mu sync.Mutex
	var began []time.Time
	w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "few" {
			now := running.Add(1)
			defer running.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			hesitate(ctx, time.Millisecond)
			return succeed(), nil
		}
		mu.Lock()
		began = append(began, time.Now())
		mu.Unlock()
		if c.Invocation.Attempt == 1 {
			return fail("once"), nil
		}
		return succeed(), nil
	}))
	for i := range events {
		w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))
	}
	w.awaitFinished(2 * events)
	if most.Load() > 3 || most.Load() < 2 {
		t.Errorf("%d ran at a time, want 3", most.Load())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(began) != 2*events {
		t.Fatalf("%d attempts, want %d", len(began), 2*events)
	}
	took := began[len(began)-1].Sub(began[0])
	least := time.Duration(2*events-1)*time.Second/rate - paceSlack - 20*time.Millisecond
	if took < least {
		t.Errorf("%d attempts began within %s, want at least %s", len(began), took, least)
	}
}

// TestANewRateCountsAtOnce waits for a place in an hour when the trigger is deployed with another rate.
func TestANewRateCountsAtOnce(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	with := func(r function.Rate) function.Trigger {
		return function.Trigger{Name: "t", Rules: function.Rules{Rate: r}}
	}
	w.deploy("f", with(function.Rate{Count: 1, Per: time.Hour}))
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	w.append("events", newEvent("1", "x", "1"), newEvent("2", "x", "2"), newEvent("3", "x", "3"))
	if n := len(w.awaitFinished(1)); n != 1 {
		t.Errorf("%d runs at one an hour, want 1", n)
	}
	w.deploy("f", with(function.Rate{Count: 1000, Per: time.Second}))
	w.awaitFinished(3)
}
