package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// heard remembers the batches that a function got, as the ids of their events.
type heard struct {
	t  reporter
	do func(ids []string) *function.Result

	mu      sync.Mutex
	batches [][]string
}

func (h *heard) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	es, err := event.DecodeBatch(c.Invocation.Payload)
	if err != nil || c.Invocation.PayloadType != event.ContentTypeBatch {
		h.t.Errorf("a function got %q of type %s: %v", c.Invocation.Payload, c.Invocation.PayloadType, err)
		return fail("no batch"), nil
	}
	ids := make([]string, len(es))
	for i, e := range es {
		ids[i] = e.ID
	}
	h.mu.Lock()
	h.batches = append(h.batches, ids)
	h.mu.Unlock()
	if h.do == nil {
		return succeed(), nil
	}
	return h.do(ids), nil
}

func (h *heard) got() [][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.batches)
}

// listed is an answer that lists failed events.
func listed(ids ...string) *function.Result {
	type item struct {
		ID string `json:"itemIdentifier"`
	}
	items := []item{}
	for _, id := range ids {
		items = append(items, item{id})
	}
	b, err := json.Marshal(map[string]any{"batchItemFailures": items})
	if err != nil {
		panic(err) // strings
	}
	r := succeed()
	r.Body = b
	return r
}

func batchOf(size int) *function.Batch {
	return &function.Batch{Size: size, Bytes: 1 << 20, OnError: function.OnErrorBisect}
}

// numbered makes n events, of the keys in turn.
func numbered(n int, keys ...string) []*event.Event {
	es := make([]*event.Event, n)
	for i := range es {
		key := ""
		if len(keys) > 0 {
			key = keys[i%len(keys)]
		}
		es[i] = newEvent(fmt.Sprintf("%03d", i), "x", key)
	}
	return es
}

func TestABatchHoldsWhatIsReadyUpToItsBounds(t *testing.T) {
	large := newEvent("large", "x", "")
	large.Data = []byte(`"` + strings.Repeat("x", 5000) + `"`)
	few := batchOf(100)
	few.Bytes = 4 << 10
	for _, c := range []struct {
		name   string
		order  function.Order
		batch  *function.Batch
		events []*event.Event
		sizes  []int
	}{
		{"size", function.OrderNone, batchOf(10), numbered(25), []int{10, 10, 5}},
		{"one key", function.OrderKey, batchOf(10), numbered(25, "k"), []int{10, 10, 5}},
		{"two keys", function.OrderKey, batchOf(100), numbered(25, "k", "l"), []int{25}},
		{"partition", function.OrderPartition, batchOf(10), numbered(25, "k", "l", ""), []int{10, 10, 5}},
		{"bytes", function.OrderPartition, few, []*event.Event{newEvent("a", "x", ""), large, newEvent("b", "x", ""), newEvent("c", "x", "")}, []int{1, 1, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			w.deployMax("f", 1, function.Trigger{Name: "t", Order: c.order, Batch: c.batch})
			w.append("events", c.events...)
			h := &heard{t: t}
			n := w.node(h)
			w.awaitFinished(len(c.events))
			n.quit()
			var sizes []int
			var ids []string
			for _, b := range h.got() {
				sizes = append(sizes, len(b))
				ids = append(ids, b...)
			}
			if !slices.Equal(sizes, c.sizes) || c.order != function.OrderNone && !slices.IsSortedFunc(ids, strings.Compare) && c.name != "bytes" {
				t.Errorf("batches of %v, want %v: %v", sizes, c.sizes, ids)
			}
		})
	}
}

func TestABatchWaitsForItsWindow(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	long, short := batchOf(3), batchOf(100)
	long.Window, short.Window = function.Duration(time.Hour), function.Duration(20*time.Millisecond)
	w.deploy("f", function.Trigger{Name: "t", Batch: long, Filter: []byte(`{"type":["long"]}`)})
	w.deploy("g", function.Trigger{Name: "t", Batch: short, Filter: []byte(`{"type":["short"]}`)})
	h := &heard{t: t}
	w.node(h)
	w.append("events", newEvent("1", "long", "a"), newEvent("2", "long", "b"))
	w.append("events", newEvent("s", "short", "a"))
	w.awaitFinished(1) // the short one's, by which the long ones have been offered too
	if got := h.got(); len(got) != 1 || got[0][0] != "s" {
		t.Fatalf("batches before the window is over: %v", got)
	}
	w.append("events", newEvent("3", "long", "a"))
	w.awaitFinished(4)
	if got := h.got(); len(got) != 2 || len(got[1]) != 3 {
		t.Errorf("batches = %v, want one of 3 as soon as it is full", got)
	}
}

func TestEventsThatTheFunctionListsAreTriedAgain(t *testing.T) {
	for _, c := range []struct {
		order  function.Order
		second []string // what the second invocation gets
	}{
		{function.OrderNone, []string{"002"}},
		{function.OrderKey, []string{"002", "004"}}, // of the same key
		{function.OrderPartition, []string{"002", "003", "004", "005"}},
	} {
		t.Run(string(c.order), func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			w.deployMax("f", 1, function.Trigger{Name: "t", Order: c.order, Batch: batchOf(100)})
			w.append("events", numbered(6, "k", "l")...)
			first := true
			h := &heard{t: t, do: func([]string) *function.Result {
				if first {
					first = false
					return listed("002")
				}
				return listed()
			}}
			n := w.node(h)
			for _, run := range w.awaitFinished(6) {
				want := 1
				if run.Event.ID == "002" {
					want = 2
				}
				if len(run.Attempts) != want || run.State != function.RunSucceeded {
					t.Errorf("run of %s ended as %s after %d attempts, want success after %d", run.Event.ID, run.State, len(run.Attempts), want)
				}
			}
			n.quit()
			if got := h.got(); len(got) < 2 || !slices.Equal(slices.Concat(got[1:]...), c.second) {
				t.Errorf("invocations after the failure: %v, want %v", got[1:], c.second)
			}
		})
	}
}

func TestWhatBecomesOfABatchThatFailsAsAWhole(t *testing.T) {
	poison := func(ids []string) *function.Result {
		if slices.Contains(ids, "005") {
			return fail("poison")
		}
		return succeed()
	}
	for _, c := range []struct {
		onError     function.OnError
		do          func([]string) *function.Result
		dead        int
		invocations int
	}{
		{function.OnErrorBisect, poison, 1, 1 + 2 + 2 + 2 + 2 + 3}, // 16, 8+8, 4+4, 2+2, 1+1, and the poison three times more
		{function.OnErrorRetry, poison, 16, 4},
		{function.OnErrorDeadLetter, poison, 16, 1},
		{function.OnErrorDeadLetter, func([]string) *function.Result { return listed("001", "no such event") }, 16, 1},
		{function.OnErrorDeadLetter, func([]string) *function.Result { return listed("") }, 16, 1},
		{function.OnErrorDeadLetter, func([]string) *function.Result { return listed("001") }, 1, 1},
	} {
		w := newWorld(t, setting{partitions: 1})
		b := batchOf(16)
		b.OnError = c.onError
		w.deployMax("f", 1, function.Trigger{Name: "t", Batch: b})
		w.append("events", numbered(16)...)
		h := &heard{t: t, do: c.do}
		n := w.node(h)
		dead := 0
		for _, run := range w.awaitFinished(16) {
			if run.State == function.RunDead {
				dead++
			}
			if c.onError == function.OnErrorBisect && run.State == function.RunDead && (run.Event.ID != "005" || tries(run.Attempts) != 4 || len(run.Attempts) != 8) {
				t.Errorf("dead: %s after %d attempts of which %d count", run.Event.ID, len(run.Attempts), tries(run.Attempts))
			}
		}
		n.quit()
		if got := h.got(); dead != c.dead || len(got) != c.invocations {
			t.Errorf("%s: %d dead after %d invocations, want %d after %d: %v", c.onError, dead, len(got), c.dead, c.invocations, got)
		}
		if letters := w.dead(); len(letters) != c.dead {
			t.Errorf("%s: %d dead letters, want %d", c.onError, len(letters), c.dead)
		}
		w.close()
	}
}

func TestWhatABatchEmitsComesFromItsFirstEvent(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deployMax("f", 1, function.Trigger{Name: "t", Batch: batchOf(10), Emit: &function.Emit{Topic: "out"}})
	w.deployMax("g", 1, function.Trigger{Name: "t", Batch: batchOf(10), Emit: &function.Emit{Topic: "nowhere"}})
	w.append("events", numbered(5, "a", "b")...)
	w.node(&heard{t: t, do: func([]string) *function.Result { return succeed(&event.Event{Type: "one"}, &event.Event{Type: "two"}) }})
	first := ""
	for _, run := range w.awaitFinished(10) {
		switch {
		case run.Function == "g":
			if run.State != function.RunDead || !strings.Contains(run.Reason, "nowhere") {
				t.Errorf("g: run of %s is %s (%s), want dead: what it emits goes nowhere", run.Event.ID, run.State, run.Reason)
			}
		case run.State != function.RunSucceeded:
			t.Errorf("f: run of %s is %s", run.Event.ID, run.State)
		case run.Event.ID == "000":
			first = run.ID
		case len(run.Emitted) > 0:
			t.Errorf("f: run of %s says that it emitted %v", run.Event.ID, run.Emitted)
		}
	}
	var ids []string
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	if want := []string{derivedID(first, "emit", 0), derivedID(first, "emit", 1)}; !slices.Equal(ids, want) {
		t.Errorf("emitted %v, want %v", ids, want)
	}
}

// choir is a function that takes batches and fails with all or with some of one, at random, and remembers what it got.
type choir struct {
	ordered bool
	onError function.OnError

	mu      sync.Mutex
	bad     string
	invoked map[string]int // by event
}

func (ch *choir) complain(format string, args ...any) {
	if ch.bad == "" {
		ch.bad = fmt.Sprintf(format, args...)
	}
}

// player is the function on one node.
func (ch *choir) player() Invoker {
	active := map[string]bool{}   // keys
	failed := map[string]string{} // by key, the event that a batch failed with
	return play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if rand.IntN(40) == 0 {
			return nil, unavailable()
		}
		es, err := event.DecodeBatch(c.Invocation.Payload)
		if err != nil {
			return nil, err
		}
		first := map[string]string{}
		last := map[string]string{}
		ch.mu.Lock()
		for _, e := range es {
			key := e.Key()
			ch.invoked[e.ID]++
			if first[key] == "" {
				first[key] = e.ID
			}
			if last[key] >= e.ID && ch.ordered {
				ch.complain("%s stands behind %s in a batch", e.ID, last[key])
			}
			last[key] = e.ID
		}
		for key, id := range first {
			if ch.ordered && active[key] {
				ch.complain("%s began while another event of its key ran", id)
			}
			if before := failed[key]; ch.ordered && ch.onError != function.OnErrorDeadLetter && id > before && before != "" && ch.invoked[before] < 4 {
				ch.complain("%s began though %s of its key has been tried %d times only", id, before, ch.invoked[before])
			}
			delete(failed, key)
			active[key] = true
		}
		ch.mu.Unlock()
		if rand.IntN(10) == 0 {
			hesitate(ctx, rand.N(10*time.Millisecond))
		}
		ch.mu.Lock()
		defer ch.mu.Unlock()
		for key := range first {
			delete(active, key)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch rand.IntN(6) {
		case 0:
			for key, id := range first {
				failed[key] = id
			}
			return fail("by chance"), nil
		case 1:
			var ids []string
			for _, e := range es {
				if rand.IntN(4) == 0 {
					ids = append(ids, e.ID)
					if failed[e.Key()] == "" {
						failed[e.Key()] = e.ID
					}
				}
			}
			return listed(ids...), nil
		}
		var out []*event.Event
		for _, e := range es {
			out = append(out, &event.Event{Type: "done", Subject: e.Key(), DataContentType: "application/json", Data: fmt.Appendf(nil, "%q", e.ID)})
		}
		return succeed(out...), nil
	})
}

// TestBatchesKeepThePromises is TestProgressIsExactWhateverHappens for batches: nodes take over from each other, in order and not, while
// commits fail and batches fail as a whole or in part. Every run ends exactly once, what the log says was emitted is there once, and
// events of one key are neither overtaken nor run side by side.
func TestBatchesKeepThePromises(t *testing.T) {
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
		order := rapid.SampledFrom([]function.Order{function.OrderKey, function.OrderPartition, function.OrderNone}).Draw(t, "order")
		batch := &function.Batch{
			Size: rapid.SampledFrom([]int{1, 2, 7, 100}).Draw(t, "size"), Bytes: 1 << 20,
			Window:  function.Duration(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 5 * time.Millisecond}).Draw(t, "batch window")),
			OnError: rapid.SampledFrom([]function.OnError{function.OnErrorBisect, function.OnErrorRetry, function.OnErrorDeadLetter}).Draw(t, "onError"),
		}
		ch := &choir{ordered: order != function.OrderNone, onError: batch.OnError, invoked: map[string]int{}}
		w.deploy("f", function.Trigger{Name: "t", Order: order, Batch: batch, Emit: &function.Emit{Topic: "out"}})
		hiccups.Store(true)
		window := rapid.SampledFrom([]int{3, 20, laneWindow}).Draw(t, "window")
		start := func() *node { return w.nodeWith(ch.player(), func(d *Dispatcher) { d.window = window }) }
		n := start()
		total := 0
		for range rapid.IntRange(1, 5).Draw(t, "lives") {
			for range rapid.IntRange(0, 8).Draw(t, "appends") {
				var es []*event.Event
				for range rapid.IntRange(1, 40).Draw(t, "events") {
					es = append(es, newEvent(fmt.Sprintf("%06d", total), "x", fmt.Sprintf("k%d", rand.IntN(6))))
					total++
				}
				w.append("events", es...)
			}
			progress := rapid.IntRange(0, total).Draw(t, "progress")
			w.await("some progress", func() bool { return len(w.finished()) >= progress })
			if rapid.Bool().Draw(t, "gentle") {
				n.quit()
			}
			n = start() // which fences the one before if it is still there
		}
		w.awaitFinished(total)
		n.quit()
		hiccups.Store(false)
		checkExact(t, w, total, order != function.OrderNone)
		if ch.bad != "" {
			t.Fatalf("order: %s", ch.bad)
		}
	})
}
