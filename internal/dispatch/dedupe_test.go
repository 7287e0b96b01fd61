package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func deduped(window time.Duration) function.Trigger {
	return function.Trigger{Name: "t", Rules: function.Rules{Dedupe: &function.Dedupe{Window: function.Duration(window)}}}
}

// TestARepeatedEventRunsOnceWhateverHappens sends events again and again, within the window and after it, while nodes take over,
// commits fail, the lane is full and the rule comes late.
func TestARepeatedEventRunsOnceWhateverHappens(t *testing.T) {
	checks(t, 15)
	rapid.Check(t, func(t *rapid.T) {
		var h hurry
		var hiccups atomic.Int32
		shaky := rapid.IntRange(2, 9).Draw(t, "shaky")
		w := newWorld(t, setting{partitions: 1, now: h.now, options: Options{Now: h.now}, wrap: brittleEvery(&hiccups, shaky)})
		defer w.close()
		const window = time.Hour
		if late := rapid.Bool().Draw(t, "late"); late {
			w.deploy("f", function.Trigger{Name: "t"})
		} else {
			w.deploy("f", deduped(window))
		}
		var l ledger
		few := rapid.IntRange(2, 50).Draw(t, "window")
		start := func() *node {
			return w.nodeWith(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				l.note(c)
				return succeed(), nil
			}), func(d *Dispatcher) { d.window = few })
		}
		n := start()
		w.deploy("f", deduped(window))
		n.heed(w)
		last := map[string]time.Duration{}
		var clock time.Duration
		runs, repeats := map[string]int{}, 0
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			for range rapid.IntRange(0, 40).Draw(t, "events") {
				id := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "id"))
				if at, ok := last[id]; ok && clock-at < window {
					repeats++
				} else {
					runs[id]++
				}
				last[id] = clock
				w.append("events", newEvent(id, "x", rapid.SampledFrom([]string{"", "k"}).Draw(t, "key")))
			}
			if rapid.Bool().Draw(t, "gentle") {
				n.quit()
			}
			// No sum of these is the window itself: whether an event at its very end repeats is up to the milliseconds between.
			clock += rapid.SampledFrom([]time.Duration{0, window * 2 / 5, 2 * window}).Draw(t, "later")
			h.ahead.Store(int64(clock))
			n = start()
		}
		total := repeats
		for _, k := range runs {
			total += k
		}
		discarded := 0
		for _, run := range w.awaitFinished(total) {
			if run.State == function.RunDiscarded {
				discarded++
				if run.Event.ID == "" || len(run.Attempts) > 0 {
					t.Fatalf("run = %+v", run)
				}
			}
		}
		if discarded != repeats {
			t.Fatalf("%d runs were discarded, want %d of %d", discarded, repeats, total)
		}
		n.quit()
		got := map[string]int{}
		for _, id := range l.of("f") {
			got[id]++
		}
		for id, k := range runs {
			if got[id] < k {
				t.Fatalf("event %s ran %d times, want %d", id, got[id], k)
			}
		}
	})
}

func TestWhatIsSeenIsBounded(t *testing.T) {
	lost := 0
	s := newSeen(time.Hour, 10, func() { lost++ })
	now := time.UnixMilli(1e12)
	for i := range uint64(25) {
		if s.note(i, now) {
			t.Fatalf("event %d repeats one", i)
		}
	}
	if lost != 15 || len(s.newest) != 10 || s.order.len() != 10 {
		t.Errorf("%d forgotten, %d remembered in %d places; want 15 and 10", lost, len(s.newest), s.order.len())
	}
	if !s.note(24, now.Add(time.Hour)) {
		t.Error("an event at the end of the window is not known")
	}
	before := lost
	if s.note(23, now.Add(time.Hour+time.Millisecond)) {
		t.Error("an event past the window is known")
	}
	if lost != before || len(s.newest) != 2 {
		t.Errorf("%d forgotten before their time, %d remembered; want %d and 2", lost, len(s.newest), before)
	}
}

// TestASkippedRepeatIsNotRunAfterACrash lets a node find a repeat pending, as one does that was killed when it had passed the repeat
// and not yet said that it is skipped.
func TestASkippedRepeatIsNotRunAfterACrash(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", deduped(time.Hour))
	var l ledger
	player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		return succeed(), nil
	})
	n := w.node(player)
	w.append("events", newEvent("1", "x", ""), newEvent("1", "x", ""))
	w.awaitFinished(2)
	n.quit()
	k := n.d.keysFor(t, "events", 0)
	lane := laneRecord{scanned: 2, pending: []int64{1}}
	if _, err := w.disk.Append(context.Background(), one(k.record(k.lane(uidOf(w, "f")), lane.encode()))); err != nil {
		t.Fatal(err)
	}
	n = w.node(player)
	w.append("events", newEvent("2", "x", ""))
	w.await("the pending one to end again", func() bool { lag := lagOf(n.d, "f"); return lag.Behind == 0 && len(l.of("f")) == 2 })
	if ran := l.of("f"); !slices.Equal(ran, []string{"1", "2"}) {
		t.Errorf("ran %v, want 1 and 2", ran)
	}
}

func TestAnEventOfAnotherSourceIsNoRepeat(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", deduped(time.Hour))
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	other := newEvent("1", "x", "k")
	other.Source = "/other"
	w.append("events", newEvent("1", "x", "k"), other, &event.Event{ID: "1", Source: "/test", Type: "x"})
	states := map[string]function.RunState{}
	for _, run := range w.awaitFinished(3) {
		states[fmt.Sprint(run.Event.Offset)] = run.State
	}
	if states["0"] != function.RunSucceeded || states["1"] != function.RunSucceeded || states["2"] != function.RunDiscarded {
		t.Errorf("states = %v, want the third discarded alone", states)
	}
}
