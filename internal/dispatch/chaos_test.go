package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// troupe is a function that fails, emits and hesitates at random, and remembers who ran beside whom.
type troupe struct {
	failing float64
	emits   bool

	mu      sync.Mutex
	ordered bool // no two events of one key may run at a time on one node
	bad     string
	invoked int
}

// player is the function on one node.
func (tr *troupe) player() Invoker {
	active := map[string]string{} // trigger and key -> id
	return play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		e := c.Invocation.Event
		key := c.Function + "/" + c.Invocation.Trigger + "/" + e.Key()
		tr.mu.Lock()
		tr.invoked++
		if other := active[key]; other != "" && e.Key() != "" && tr.ordered {
			tr.bad = fmt.Sprintf("%s began while %s of the same key ran", e.ID, other)
		}
		active[key] = e.ID
		tr.mu.Unlock()
		defer func() {
			tr.mu.Lock()
			delete(active, key)
			tr.mu.Unlock()
		}()
		switch rand.IntN(50) {
		case 0:
			return nil, unavailable()
		case 1, 2, 3:
			hesitate(ctx, rand.N(20*time.Millisecond))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if rand.Float64() < tr.failing {
			return fail("by chance"), nil
		}
		if !tr.emits {
			return succeed(), nil
		}
		return succeed(
			&event.Event{ID: "a", Type: "first", DataContentType: "application/json", Data: fmt.Appendf(nil, "%q", e.ID)},
			&event.Event{ID: "b", Type: "second", DataContentType: "application/json", Data: fmt.Appendf(nil, "%q", e.ID)},
		), nil
	})
}

func hesitate(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// TestProgressIsExactWhateverHappens lets nodes take over from each other, in order and not, while commits fail before and after
// they were stored and attempts fail at random. Then every run has ended exactly once, every event that a run says it emitted
// is in the log exactly once and none beside, and each key's output stands in the order of its input.
func TestProgressIsExactWhateverHappens(t *testing.T) {
	checks(t, 15)
	rapid.Check(t, func(t *rapid.T) {
		var hiccups atomic.Bool
		shaky := rapid.Float64Range(0, 0.3).Draw(t, "shaky")
		w := newWorld(t, setting{
			partitions: int32(rapid.IntRange(1, 3).Draw(t, "partitions")),
			wrap: func(l eventlog.Log) eventlog.Log {
				return brittle{l, func() (before, after bool) {
					return hiccups.Load() && rand.Float64() < shaky, hiccups.Load() && rand.Float64() < shaky
				}}
			},
		})
		defer w.close()
		tr := &troupe{failing: rapid.Float64Range(0, 0.4).Draw(t, "failing"), emits: true, ordered: true}
		order := rapid.SampledFrom([]function.Order{function.OrderKey, function.OrderPartition, function.OrderNone}).Draw(t, "order")
		w.deploy("f", function.Trigger{Name: "t", Order: order, Emit: &function.Emit{Topic: "out"}})
		w.deploy("g", function.Trigger{Name: "t", Filter: []byte(`{"type":["even"]}`), Emit: &function.Emit{Topic: "out"}})
		hiccups.Store(true)
		tr.ordered = order != function.OrderNone
		window := rapid.SampledFrom([]int{3, 20, laneWindow}).Draw(t, "window")
		start := func() *node { return w.nodeWith(tr.player(), func(d *Dispatcher) { d.window = window }) }
		n := start()
		total, want := 0, 0
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			for range rapid.IntRange(0, 8).Draw(t, "appends") {
				var es []*event.Event
				for range rapid.IntRange(1, 20).Draw(t, "events") {
					typ := "odd"
					if total%2 == 0 {
						typ = "even"
						want++
					}
					want++
					es = append(es, newEvent(fmt.Sprintf("%06d", total), typ, fmt.Sprintf("k%d", rand.IntN(6))))
					total++
				}
				w.append("events", es...)
			}
			progress := rapid.IntRange(0, want).Draw(t, "progress")
			w.await("some progress", func() bool { return len(w.finished()) >= progress })
			if rapid.Bool().Draw(t, "gentle") {
				n.quit()
			}
			n = start() // which fences the one before if it is still there
		}
		w.awaitFinished(want)
		n.quit()
		hiccups.Store(false)
		checkExact(t, w, want, order != function.OrderNone)
		if tr.bad != "" {
			t.Fatalf("order: %s", tr.bad)
		}
	})
}

// checkExact reads the whole log and holds it against the promises.
func checkExact(t reporter, w *world, want int, ordered bool) {
	t.Helper()
	ended := map[string]int{}
	emitted := map[string]string{} // id -> run
	for _, r := range w.records(function.TopicRuns) {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatalf("read a run: %v", err)
		}
		if e.Type != event.TypeRunFinished && e.Type != event.TypeBatchFinished {
			continue
		}
		for _, run := range w.runsIn(e) {
			ended[run.ID]++
			if ended[run.ID] > 1 {
				t.Fatalf("run %s of event %s ended %d times", run.ID, run.Event.ID, ended[run.ID])
			}
			if run.State != function.RunSucceeded && run.State != function.RunDead {
				t.Fatalf("run %s ended as %s", run.ID, run.State)
			}
			for _, em := range run.Emitted {
				emitted[em.ID] = run.ID
			}
		}
	}
	if len(ended) != want {
		t.Fatalf("%d runs ended, want %d", len(ended), want)
	}
	last := map[string]string{}
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatalf("read an emitted event: %v", err)
		}
		if emitted[e.ID] == "" {
			t.Fatalf("event %s stands in the log twice, or no run has emitted it", e.ID)
		}
		delete(emitted, e.ID)
		var cause string
		if err := json.Unmarshal(e.Data, &cause); err != nil {
			t.Fatalf("decode an emitted event: %v", err)
		}
		key := e.Source + e.Type + e.Key()
		if e.Source == "/functions/f" && !ordered {
			continue
		}
		if cause <= last[key] {
			t.Fatalf("key %s: the output of %s stands behind that of %s", e.Key(), cause, last[key])
		}
		last[key] = cause
	}
	for id, run := range emitted {
		t.Fatalf("event %s, which run %s emitted, is not in the log", id, run)
	}
}
