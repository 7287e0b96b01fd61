package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// hurry is a clock that a test sets forward.
type hurry struct{ ahead atomic.Int64 }

func (h *hurry) now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// forward sets the clock forward and tells the nodes, whose timers run by the real one.
func (h *hurry) forward(d time.Duration, nodes ...*node) {
	h.ahead.Add(int64(d))
	for _, n := range nodes {
		for _, p := range n.d.owned() {
			p.box.post(replan{plan: n.d.plan()})
		}
	}
}

// ping tells that an actor has come so far in its mailbox.
type ping chan struct{}

func (c ping) apply(scope, *partition) { close(c) }

// heed waits until a node's actors act by the newest catalog.
func (n *node) heed(w *world) {
	w.await("the node to know the catalog", func() bool { return n.d.plan().view.Offset >= w.cat.View().Offset })
	for _, p := range n.d.owned() {
		done := make(ping)
		p.box.post(replan{plan: n.d.plan()})
		p.box.post(done)
		select {
		case <-done:
		case <-p.done:
		}
	}
}

// hours is a retry that waits for 54 minutes to hours when Rand is always 0.9.
func hours(attempts int) function.Retry {
	return function.Retry{Attempts: attempts, Initial: function.Duration(time.Hour), Max: function.Duration(10 * time.Hour), Factor: 2}
}

// standing lists the keys of a compacted topic that have a value.
func (w *world) standing(topic, prefix string) []string {
	w.t.Helper()
	values := map[string]bool{}
	for _, r := range w.records(topic) {
		values[string(r.Key)] = r.Value != nil
	}
	var keys []string
	for key, there := range values {
		if there && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// attemptsOf is how many attempts of an event's run are in the log.
func attemptsOf(w *world, id string) int {
	for _, run := range w.runs() {
		if run.Event.ID == id {
			return len(run.Attempts)
		}
	}
	return 0
}

func parkedIDs(w *world, n *node, fn, trigger string) (ids []string) {
	w.t.Helper()
	t, err := w.cat.View().Trigger(fn, trigger)
	if err == nil {
		err = n.d.ParkedEvents(context.Background(), t, func(e *event.Event) error { ids = append(ids, e.ID); return nil })
	}
	if err != nil {
		w.t.Fatalf("parked events: %v", err)
	}
	return ids
}

// TestAParkedRunOutlivesItsEvent lets retention take an event that waits for hours, with one behind it, and the node stop.
func TestAParkedRunOutlivesItsEvent(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			var h hurry
			lost := &forgetful{of: eventlog.Partition{Topic: "events", ID: 0}}
			w := newWorld(t, setting{partitions: 1, options: Options{Now: h.now, Rand: func() float64 { return 0.9 }}, wrap: func(l eventlog.Log) eventlog.Log {
				lost.Log = l
				return lost
			}})
			defer w.close()
			var l ledger
			player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				l.note(c)
				if c.Invocation.Event.ID == "bad" && c.Invocation.Attempt < 3 {
					return fail("no"), nil
				}
				return succeed(&event.Event{Type: "done", Subject: c.Invocation.Event.ID}), nil
			})
			w.deploy("f", function.Trigger{Name: "t", Retry: hours(4), Emit: &function.Emit{Topic: "out"}})
			n := w.node(player)
			w.append("events", newEvent("bad", "x", "bad"), newEvent("good", "x", "good"))
			w.await("the attempt to fail", func() bool { return len(w.runs()) == 2 })
			w.append("events", newEvent("behind", "x", "bad"))
			w.await("both to be parked", func() bool { return lagOf(n.d, "f").Parked == 2 })
			if held := n.d.budget.held.Load(); held > 4*(entryCost+refCost+256) {
				t.Errorf("two parked entries hold %d bytes", held)
			}
			if keys := w.standing(function.TopicDelayed, "p/"); len(keys) != 1 {
				t.Errorf("delayed events = %v, want the one that waits", keys)
			}
			lost.lose(2) // the first two; what is behind is still there
			if ids := parkedIDs(w, n, "f", "t"); !slices.Equal(ids, []string{"bad"}) {
				t.Errorf("parked events = %v, want the one that waits", ids)
			}
			for attempt := 2; attempt <= 3; attempt++ {
				if restart {
					n.quit()
					n = w.node(player)
					w.await("both to be parked again", func() bool { return lagOf(n.d, "f").Parked == 2 })
				}
				before := len(l.of("f"))
				h.forward(3*time.Hour, n)
				w.await("the next attempt", func() bool { return len(l.of("f")) > before })
				w.await("what came of it", func() bool { return attemptsOf(w, "bad") == attempt })
			}
			for _, run := range w.awaitFinished(3) {
				if run.State != function.RunSucceeded {
					t.Errorf("run of %s is %s: %s", run.Event.ID, run.State, run.Reason)
				}
			}
			ran := slices.DeleteFunc(l.of("f"), func(id string) bool { return id == "good" })
			if want := []string{"bad", "bad", "bad", "behind"}; !slices.Equal(ran, want) {
				t.Errorf("ran %v, want %v", ran, want)
			}
			if keys := slices.Concat(w.standing(function.TopicDelayed, ""), w.standing(function.TopicProgress, "r/")); len(keys) > 0 {
				t.Errorf("left behind: %v", keys)
			}
			if ids := parkedIDs(w, n, "f", "t"); len(ids) > 0 {
				t.Errorf("parked events = %v when all have run", ids)
			}
			w.await("all memory to be given back", func() bool { return n.d.budget.held.Load() == 0 })
		})
	}
}

// TestWhatIsParkedTakesNoPlace lets many keys fail for hours: others go on as if they were not there, up to the bound.
func TestWhatIsParkedTakesNoPlace(t *testing.T) {
	var h hurry
	w := newWorld(t, setting{partitions: 1, options: Options{Now: h.now, Rand: func() float64 { return 0.9 }}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: hours(2)})
	player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.Type == "bad" && c.Invocation.Attempt == 1 {
			return fail("no"), nil
		}
		return succeed(), nil
	})
	few := func(d *Dispatcher) { d.window, d.parked = 4, 50 }
	n := w.nodeWith(player, few)
	for i := range 60 {
		w.append("events", newEvent(fmt.Sprint("bad", i), "bad", fmt.Sprint(i)), newEvent(fmt.Sprint("good", i), "good", ""))
	}
	w.await("the bound to be reached", func() bool { lag := lagOf(n.d, "f"); return lag.Parked >= 50 && lag.Detached == 1 })
	if lag := lagOf(n.d, "f"); lag.Parked > 54 || lag.Behind < 2 {
		t.Errorf("lag = %+v, want about 50 parked and the rest to wait in the log", lag)
	}
	n.quit()
	n = w.nodeWith(player, few)
	w.await("them to be parked again", func() bool { return lagOf(n.d, "f").Parked >= 50 })
	h.forward(2*time.Hour, n)
	w.await("the rest to be taken in", func() bool { return lagOf(n.d, "f").Behind == lagOf(n.d, "f").Parked })
	h.forward(2*time.Hour, n)
	w.awaitFinished(120)
	w.await("the lane to be back", func() bool { lag := lagOf(n.d, "f"); return lag.Behind == 0 && lag.Detached == 0 })
}

func TestARemovedTriggersDelayedEventsGo(t *testing.T) {
	var h hurry
	w := newWorld(t, setting{partitions: 1, options: Options{Now: h.now, Rand: func() float64 { return 0.9 }}})
	defer w.close()
	player := play(func(context.Context, fleet.Call) (*function.Result, error) { return fail("no"), nil })
	for _, down := range []bool{false, true} {
		w.deploy("f", function.Trigger{Name: "t", Retry: hours(3)})
		w.deploy("g", function.Trigger{Name: "t"})
		n := w.node(player)
		w.append("events", newEvent(fmt.Sprint(down), "x", "k"))
		w.await("the event to be kept", func() bool { return len(w.standing(function.TopicDelayed, "p/")) == 1 })
		if down {
			n.quit()
		}
		w.change(catalog.Remove{Function: "f"})
		if down {
			n = w.node(player)
		}
		w.await("the event to be gone", func() bool { return len(w.standing(function.TopicDelayed, "p/")) == 0 })
		n.quit()
	}
}

// TestAPausedKeyStopsAloneAndKeepsItsOrder pauses a key while it runs, waits and comes, over a restart.
func TestAPausedKeyStopsAloneAndKeepsItsOrder(t *testing.T) {
	for _, order := range []function.Order{function.OrderKey, function.OrderNone} {
		w := newWorld(t, setting{partitions: 1})
		w.deploy("f", function.Trigger{Name: "t", Order: order})
		var l ledger
		player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
			l.note(c)
			return succeed(), nil
		})
		n := w.node(player)
		pause := func(paused bool) {
			w.change(catalog.PauseKey{Function: "f", Trigger: "t", Key: "k", Paused: paused})
		}
		var want []string
		put := func(k int) {
			for range k {
				id := fmt.Sprintf("%03d", len(want))
				w.append("events", newEvent(id, "x", "k"), newEvent("other"+id, "x", "o"), newEvent("none"+id, "x", ""))
				want = append(want, id)
			}
		}
		for round := range 3 {
			put(5)
			w.awaitFinished(3 * len(want))
			pause(true)
			n.heed(w)
			put(5)
			w.awaitFinished(3*len(want) - 5)
			w.await("the paused ones to be parked", func() bool { lag := lagOf(n.d, "f"); return lag.Parked == 5 && lag.Pending == 5 })
			if round == 1 {
				n.quit()
				n = w.node(player)
				w.await("them to be parked again", func() bool { return lagOf(n.d, "f").Parked == 5 })
			}
			pause(false)
			w.awaitFinished(3 * len(want))
		}
		var ran []string
		for _, id := range l.of("f") {
			if !strings.HasPrefix(id, "other") && !strings.HasPrefix(id, "none") {
				ran = append(ran, id)
			}
		}
		if order == function.OrderNone {
			slices.Sort(ran)
		}
		if !slices.Equal(ran, want) {
			t.Errorf("order %s: key k ran %v, want %v", order, ran, want)
		}
		w.close()
	}
}

// TestParkedRunsEndOnceWhateverHappens fails attempts that then wait for minutes, pauses keys, and lets nodes take over.
func TestParkedRunsEndOnceWhateverHappens(t *testing.T) {
	checks(t, 10)
	rapid.Check(t, func(t *rapid.T) {
		var h hurry
		w := newWorld(t, setting{partitions: int32(rapid.IntRange(1, 2).Draw(t, "partitions")), options: Options{Now: h.now}})
		defer w.close()
		tr := &troupe{failing: rapid.Float64Range(0.1, 0.5).Draw(t, "failing"), emits: true, ordered: true}
		retry := function.Retry{Attempts: 5, Initial: function.Duration(5 * time.Minute), Max: function.Duration(time.Hour), Factor: 2}
		w.deploy("f", function.Trigger{Name: "t", Retry: retry, Emit: &function.Emit{Topic: "out"}})
		window, parked := rapid.IntRange(2, 30).Draw(t, "window"), rapid.IntRange(1, 30).Draw(t, "parked")
		start := func() *node {
			return w.nodeWith(tr.player(), func(d *Dispatcher) { d.window, d.parked = window, parked })
		}
		n := start()
		total := 0
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			for range rapid.IntRange(0, 60).Draw(t, "events") {
				w.append("events", newEvent(fmt.Sprintf("%06d", total), "x", fmt.Sprint("k", total%5)))
				total++
			}
			pausedKey := rapid.Bool().Draw(t, "pause")
			if pausedKey {
				w.change(catalog.PauseKey{Function: "f", Trigger: "t", Key: "k1", Paused: true})
			}
			h.forward(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "forward"), w.nodes...)
			if rapid.Bool().Draw(t, "gentle") {
				n.quit()
			}
			n = start()
			if pausedKey {
				w.change(catalog.PauseKey{Function: "f", Trigger: "t", Key: "k1", Paused: false})
			}
		}
		w.await("all to end", func() bool {
			h.forward(time.Hour, w.nodes...) // on Kafka those that were not ended share the work
			w.runs()
			return w.over >= total
		})
		n.quit()
		checkExact(t, w, total, true)
		if tr.bad != "" {
			t.Fatalf("order: %s", tr.bad)
		}
		if keys := w.standing(function.TopicDelayed, ""); len(keys) > 0 {
			t.Fatalf("left behind: %v", keys)
		}
	})
}

func FuzzDecodeDelayed(f *testing.F) {
	b, err := delayedRecord{due: time.UnixMilli(5), appended: time.UnixMilli(4), event: newEvent("1", "x", "k")}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:5])
	f.Add([]byte{progressFormat, 1, 1, '{', '}'})
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeDelayed(b)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		once, err := decodeDelayed(again)
		if err != nil {
			t.Fatalf("decode(encode) = %v", err)
		}
		if twice, err := once.encode(); err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("encode(decode(%q)) = %q, %v", again, twice, err)
		}
	})
}
