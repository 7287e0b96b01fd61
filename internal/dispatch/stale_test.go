package dispatch

import (
	"context"
	"fmt"
	"reflect"

	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func dropsStale() function.Trigger {
	return function.Trigger{Name: "t", Rules: function.Rules{Stale: function.StaleDrop}}
}

func sequenced(id, key, sequence string) *event.Event {
	e := newEvent(id, "x", key)
	if sequence != "" {
		e.Extensions = map[string]any{event.ExtSequence: sequence}
	}
	return e
}

// TestStaleEventsAreDroppedWhateverHappens sends the events of keys out of order while nodes take over and commits fail.
func TestStaleEventsAreDroppedWhateverHappens(t *testing.T) {
	checks(t, 15)
	rapid.Check(t, func(t *rapid.T) {
		var hiccups atomic.Int32
		w := newWorld(t, setting{partitions: 1, wrap: brittleEvery(&hiccups, rapid.IntRange(2, 9).Draw(t, "shaky"))})
		defer w.close()
		w.deploy("f", dropsStale())
		player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) { return succeed(), nil })
		n := w.node(player)
		greatest, want, total := map[string]string{}, map[string]function.RunState{}, 0
		for range rapid.IntRange(1, 4).Draw(t, "lives") {
			for range rapid.IntRange(0, 30).Draw(t, "events") {
				id, key := fmt.Sprint(total), rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key")
				sequence := rapid.StringMatching(`[0-3]{0,3}`).Draw(t, "sequence")
				total++
				want[id] = function.RunSucceeded
				if key != "" && sequence != "" {
					if sequence < greatest[key] {
						want[id] = function.RunDiscarded
					}
					greatest[key] = max(greatest[key], sequence)
				}
				w.append("events", sequenced(id, key, sequence))
			}
			if rapid.Bool().Draw(t, "gentle") {
				n.quit()
			}
			n = w.node(player)
		}
		for _, run := range w.awaitFinished(total) {
			if run.State != want[run.Event.ID] {
				t.Fatalf("run of %s is %s %q, want %s", run.Event.ID, run.State, run.Reason, want[run.Event.ID])
			}
		}
	})
}

func TestWhatIsStale(t *testing.T) {
	at := func(s string) *event.Event {
		e := newEvent("1", "x", "k")
		e.Time, _ = time.Parse(time.RFC3339Nano, s)
		return e
	}
	seq := func(s string) *event.Event { return sequenced("1", "k", s) }
	long := string(make([]byte, staleSequence+1))
	for _, c := range []struct {
		name string
		ran  []*event.Event
		e    *event.Event
		want bool
	}{
		{"nothing ran", nil, seq("1"), false},
		{"older", []*event.Event{seq("2")}, seq("1"), true},
		{"the same", []*event.Event{seq("2")}, seq("2"), false},
		{"as text", []*event.Event{seq("9")}, seq("10"), true},
		{"the greatest counts", []*event.Event{seq("5"), seq("3")}, seq("4"), true},
		{"earlier", []*event.Event{at("2026-01-02T00:00:00Z")}, at("2026-01-01T00:00:00Z"), true},
		{"later", []*event.Event{at("2026-01-01T00:00:00Z")}, at("2026-01-02T00:00:00Z"), false},
		{"the same time", []*event.Event{at("2026-01-01T00:00:00.123456789Z")}, at("2026-01-01T00:00:00.123456789Z"), false},
		{"neither", []*event.Event{seq("5"), at("2026-01-01T00:00:00Z")}, newEvent("1", "x", "k"), false},
		{"time after sequence", []*event.Event{seq("5")}, at("2026-01-01T00:00:00Z"), false},
		{"sequence after time", []*event.Event{at("2026-01-01T00:00:00Z")}, seq("1"), false},
		{"too long to remember", []*event.Event{seq(long)}, seq("0"), false},
		{"too long to compare", []*event.Event{seq("5")}, seq(long), false},
	} {
		var r newestRecord
		for _, e := range c.ran {
			r = r.with(e)
		}
		again, err := decodeNewest(r.encode())
		if err != nil || again.stale(c.e) != c.want || r.stale(c.e) != c.want {
			t.Errorf("%s: stale = %v, from the log %v, %v, want %v", c.name, r.stale(c.e), again.stale(c.e), err, c.want)
		}
	}
}

// TestOnlyWhatSucceededMakesOthersStale lets the newest event of a key end as a dead letter.
func TestOnlyWhatSucceededMakesOthersStale(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", dropsStale())
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.ID == "dies" {
			return fail("no"), nil
		}
		return succeed(), nil
	}))
	w.append("events", sequenced("dies", "k", "9"), sequenced("runs", "k", "5"), sequenced("late", "k", "4"))
	states := map[string]function.RunState{}
	for _, run := range w.awaitFinished(3) {
		states[run.Event.ID] = run.State
	}
	want := map[string]function.RunState{"dies": function.RunDead, "runs": function.RunSucceeded, "late": function.RunDiscarded}
	if !reflect.DeepEqual(states, want) {
		t.Errorf("states = %v, want %v", states, want)
	}
}

func TestWhatIsKnownOfKeysIsBoundedAndGoesWithTheRule(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", dropsStale())
	w.deploy("g", function.Trigger{Name: "t"})
	player := play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil })
	few := func(d *Dispatcher) { d.stale = 3 }
	n := w.nodeWith(player, few)
	for i := range 10 {
		w.append("events", sequenced(fmt.Sprint(i), fmt.Sprint(i), "5"))
	}
	w.awaitFinished(20)
	known := func() int { return len(w.standing(function.TopicProgress, "q/")) }
	if known() != 3 {
		t.Errorf("%d keys are known, want 3", known())
	}
	for _, step := range []func(){
		func() { w.deploy("f", function.Trigger{Name: "t"}) },
		func() { w.change(catalog.Remove{Function: "f"}) },
	} {
		w.deploy("f", dropsStale())
		n.heed(w)
		w.append("events", sequenced("again", "9", "6"))
		w.await("the key to be known", func() bool { return known() > 0 })
		step()
		w.await("the keys to be forgotten", func() bool { return known() == 0 })
	}
	n.quit()
	w.deploy("f", dropsStale())
	n = w.node(player)
	w.append("events", sequenced("again", "9", "6"))
	w.await("the key to be known", func() bool { return known() == 1 })
	n.quit()
	w.deploy("f", function.Trigger{Name: "t"})
	w.node(player)
	w.await("a new node to forget the key", func() bool { return known() == 0 })
}

func FuzzDecodeNewest(f *testing.F) {
	f.Add(newestRecord{sequence: "0042", time: time.UnixMicro(1e15)}.encode())
	f.Add(newestRecord{}.encode())
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeNewest(b)
		if err != nil {
			return
		}
		if again, err := decodeNewest(r.encode()); err != nil || !again.time.Equal(r.time) || again.sequence != r.sequence {
			t.Fatalf("%q is %+v, and then %+v, %v", b, r, again, err)
		}
	})
}
