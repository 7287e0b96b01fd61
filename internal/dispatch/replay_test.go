package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// replay starts a replay of all that topic events holds on trigger f/t.
func (w *world) replay(r function.Replay, only map[int32][]int64) {
	w.t.Helper()
	ctx := context.Background()
	s := catalog.StartReplay{Replay: r, From: map[int32]int64{}, To: map[int32]int64{}, Only: only}
	s.Replay.Function, s.Replay.Trigger, s.Replay.Topic = "f", "t", "events"
	if r.Version == 0 {
		s.Replay.Version = 1
	}
	topics, err := w.disk.Topics(ctx)
	if err != nil {
		w.t.Fatalf("list topics: %v", err)
	}
	for _, t := range topics {
		if t.Name != "events" {
			continue
		}
		s.TopicID = t.ID
		for id := range t.Partitions {
			b, err := w.disk.Bounds(ctx, eventlog.Partition{Topic: "events", ID: id})
			if err != nil {
				w.t.Fatalf("bounds: %v", err)
			}
			s.From[id], s.To[id] = b.Start, b.End
		}
	}
	w.change(s)
}

// replayed reads what became of a replay's runs, and how many partitions have finished.
func (w *world) replayed(name string) (runs []function.ReplayedRun, finished int) {
	w.t.Helper()
	done := map[int32]bool{}
	for _, r := range w.records(function.TopicReplays) {
		e, err := eventlog.ToEvent(r)
		if err != nil || e.Subject != name {
			continue
		}
		switch e.Type {
		case event.TypeReplayRunFinished:
			var run function.ReplayedRun
			if err := json.Unmarshal(e.Data, &run); err != nil {
				w.t.Fatalf("decode a replayed run: %v", err)
			}
			runs = append(runs, run)
		case event.TypeReplayPartitionFinished:
			var p function.ReplayedPartition
			if err := json.Unmarshal(e.Data, &p); err != nil {
				w.t.Fatalf("decode: %v", err)
			}
			done[p.Partition] = true
		}
	}
	return runs, len(done)
}

func (w *world) awaitReplay(name string, partitions int) []function.ReplayedRun {
	w.t.Helper()
	var runs []function.ReplayedRun
	w.await("replay "+name, func() bool {
		var n int
		runs, n = w.replayed(name)
		return n == partitions
	})
	return runs
}

// echoing is a function that emits what it got, and that remembers its replayed calls by key.
type echoing struct {
	mu    sync.Mutex
	calls []fleet.Call
	fails func(c fleet.Call) bool
}

func (f *echoing) Invoke(_ context.Context, c fleet.Call) (*function.Result, error) {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	if f.fails != nil && f.fails(c) {
		return fail("no"), nil
	}
	return succeed(&event.Event{Type: "echo", DataContentType: "application/json", Data: fmt.Appendf(nil, `{"of":%q}`, c.Invocation.Event.ID)}), nil
}

func (f *echoing) replayed(name string) []fleet.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var cs []fleet.Call
	for _, c := range f.calls {
		if c.Invocation.Event.Extension(event.ExtReplay) == name {
			cs = append(cs, c)
		}
	}
	return cs
}

// replayWorld has a function f of two versions that emits to out, and n events that have run.
func replayWorld(t *testing.T, partitions int32, n int) (*world, *echoing) {
	t.Helper()
	w := newWorld(t, setting{partitions: partitions})
	f := &echoing{}
	trigger := function.Trigger{Name: "t", Filter: []byte(`{"type":["x"]}`), Emit: &function.Emit{Topic: "out"}}
	w.deploy("f", trigger)
	trigger.Order = function.OrderNone // another version, and another order
	w.deploy("f", function.Trigger{Name: "t", Filter: trigger.Filter, Emit: trigger.Emit, Retry: function.Retry{Attempts: 2, Factor: 1}})
	w.node(f)
	w.numbered(0, n)
	w.awaitFinished(n)
	return w, f
}

func TestAReplayRunsHistoryAgainBesideTheLiveTrigger(t *testing.T) {
	w, f := replayWorld(t, 2, 60)
	defer w.close()
	before := len(w.records("out"))
	w.replay(function.Replay{Name: "again", Version: 1, Output: function.ReplayCapture}, nil)
	w.numbered(60, 70) // live work goes on, and is not the replay's
	runs := w.awaitReplay("again", 2)
	if len(runs) != 60 {
		t.Fatalf("%d runs, want 60", len(runs))
	}
	for _, run := range runs {
		var e event.Event
		if len(run.Captured) != 1 || len(run.Emitted) != 1 || run.State != function.RunSucceeded || run.Replay != "again" {
			t.Fatalf("run = %+v", run)
		}
		if err := json.Unmarshal(run.Captured[0], &e); err != nil || e.Type != "echo" || e.Digest() != run.Emitted[0].Digest {
			t.Errorf("captured %s, %v; emitted %+v", run.Captured[0], err, run.Emitted[0])
		}
	}
	calls := f.replayed("again")
	last := map[string]int{}
	for _, c := range calls {
		if c.Version != 1 {
			t.Fatalf("a call of version %d, want 1", c.Version)
		}
		var n int
		if _, err := fmt.Sscanf(c.Invocation.Event.ID, "n-%d", &n); err != nil {
			t.Fatal(err)
		}
		if key := c.Invocation.Event.Key(); n < last[key] {
			t.Errorf("event %d of key %s after %d", n, key, last[key])
		} else {
			last[key] = n
		}
	}
	w.awaitFinished(70)
	if out := len(w.records("out")); out != before+10 || len(w.finished()) != 70 {
		t.Errorf("%d events in out and %d live runs, want %d and 70", out, len(w.finished()), before+10)
	}
}

func TestAReplayRunsOnlyWhatItIsAbout(t *testing.T) {
	w, _ := replayWorld(t, 1, 20)
	defer w.close()
	for _, c := range []struct {
		replay function.Replay
		only   map[int32][]int64
		want   string
	}{
		{function.Replay{Name: "by-key", Key: "k1"}, nil, "n-1 n-6 n-11 n-16"},
		{function.Replay{Name: "by-filter", Filter: []byte(`{"id":["n-3","n-4"]}`)}, nil, "n-3 n-4"},
		{function.Replay{Name: "some"}, map[int32][]int64{0: {0, 7, 19}}, "n-0 n-7 n-19"},
		{function.Replay{Name: "none", Filter: []byte(`{"id":["n-99"]}`)}, nil, ""},
	} {
		w.replay(c.replay, c.only)
		var ids []string
		for _, run := range w.awaitReplay(c.replay.Name, 1) {
			ids = append(ids, run.Event.ID)
		}
		slices.SortFunc(ids, func(a, b string) int { return len(a) - len(b) })
		want := strings.Fields(c.want)
		slices.Sort(ids)
		slices.Sort(want)
		if !slices.Equal(ids, want) {
			t.Errorf("%s ran %v, want %v", c.replay.Name, ids, want)
		}
	}
}

// TestAReplaySurvivesNodesThatDie takes the partitions over again and again, without a farewell. Each event ends once, and what is
// published is published once, with ids that differ from the live run's.
func TestAReplaySurvivesNodesThatDie(t *testing.T) {
	w, f := replayWorld(t, 2, 300)
	defer w.close()
	live := map[string]bool{}
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		live[e.ID] = true
	}
	w.replay(function.Replay{Name: "pub", Output: function.ReplayPublish}, nil)
	for _, at := range []int{20, 90, 180} {
		w.await("some to have run", func() bool { return len(f.replayed("pub")) >= at })
		w.node(f)
	}
	ran := map[string]int{}
	for _, run := range w.awaitReplay("pub", 2) {
		ran[run.Event.ID]++
		if len(run.Captured) != 0 {
			t.Errorf("run of %s captured although it publishes", run.Event.ID)
		}
	}
	published := map[string]int{}
	ids := map[string]bool{}
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		if live[e.ID] {
			continue
		}
		if e.Extension(event.ExtReplay) != "pub" || ids[e.ID] {
			t.Errorf("published %s with replay %q, seen before: %t", e.ID, e.Extension(event.ExtReplay), ids[e.ID])
		}
		ids[e.ID] = true
		published[e.Extension(event.ExtCausationID)]++
	}
	for i := range 300 {
		id := fmt.Sprintf("n-%d", i)
		if ran[id] != 1 || published[id] != 1 {
			t.Errorf("event %s has %d runs and %d published events, want one each", id, ran[id], published[id])
		}
	}
}

func TestWhatFailsInAReplayIsRetriedAndNoDeadLetter(t *testing.T) {
	w, f := replayWorld(t, 1, 10)
	defer w.close()
	f.mu.Lock()
	f.fails = func(c fleet.Call) bool { return c.Invocation.Event.ID == "n-4" }
	f.mu.Unlock()
	w.replay(function.Replay{Name: "bad", Output: function.ReplayDiscard}, nil)
	for _, run := range w.awaitReplay("bad", 1) {
		want, attempts := function.RunSucceeded, 1
		if run.Event.ID == "n-4" {
			want, attempts = function.RunDead, 2
		}
		if run.State != want || len(run.Attempts) != attempts || len(run.Captured) != 0 {
			t.Errorf("run of %s = %s after %d attempts, %d captured", run.Event.ID, run.State, len(run.Attempts), len(run.Captured))
		}
	}
	if dead := w.dead(); len(dead) != 0 {
		t.Errorf("%d dead letters, want none", len(dead))
	}
}

func TestTwoReplaysAtOnceAndOneThatIsCancelled(t *testing.T) {
	w, f := replayWorld(t, 1, 40)
	defer w.close()
	w.replay(function.Replay{Name: "slow", Rate: 0.001}, nil)
	w.replay(function.Replay{Name: "quick"}, nil)
	if _, err := w.cat.Submit(context.Background(), catalog.StartReplay{Replay: function.Replay{Name: "quick", Function: "f", Trigger: "t", Version: 1}}); err == nil || !strings.Contains(err.Error(), `there is a replay "quick" already`) {
		t.Errorf("a second replay of the name = %v", err)
	}
	if runs := w.awaitReplay("quick", 1); len(runs) != 40 {
		t.Errorf("quick ran %d events, want 40", len(runs))
	}
	w.change(catalog.EndReplay{Name: "slow", State: "cancelled"})
	w.await("what was pending to be discarded", func() bool {
		runs, _ := w.replayed("slow")
		discarded := 0
		for _, run := range runs {
			if run.State == function.RunDiscarded {
				discarded++
			}
		}
		return discarded > 30
	})
	if n := len(f.replayed("slow")); n > 2 {
		t.Errorf("slow ran %d events at 0.001 a second", n)
	}
	v := w.cat.View()
	if r, err := v.Replay("slow"); err != nil || r.Ended == nil || r.Ended.State != "cancelled" {
		t.Errorf("slow = %+v, %v", r, err)
	}
}

// TestAReplayYieldsToTheLiveTrigger holds all slots of the live trigger, and some.
func TestAReplayYieldsToTheLiveTrigger(t *testing.T) {
	var granted atomic.Int32
	ask := func(g *gate) bool { return g.acquire(&waiter{granted: func() { granted.Add(1) }}) }
	live, replay := newGate(4), newGate(2)
	replay.yieldTo(live)
	for n, want := range []bool{true, true, false} {
		if got := ask(replay); got != want {
			t.Fatalf("while the live trigger is idle a replay of two slots was given slot %d: %t, want %t", n+1, got, want)
		}
	}
	for range 4 {
		if !ask(live) {
			t.Fatal("the live trigger had to wait for its replay")
		}
	}
	replay.release()
	replay.release()
	if granted.Load() != 0 {
		t.Fatal("the replay was granted a slot while the live trigger used all")
	}
	live.release()
	if granted.Load() != 1 {
		t.Fatal("the replay was not granted the slot that the live trigger left idle")
	}
	if ask(live); granted.Load() != 1 {
		t.Fatal("wrong grant")
	}
	replay.yieldTo(nil)
	if live.lent != 0 || len(live.younger) != 0 {
		t.Errorf("the live gate still lends %d to %d", live.lent, len(live.younger))
	}
}

func TestARateSpreadsStarts(t *testing.T) {
	var p pacer
	p.set((portion{}).every(&catalog.Trigger{Replay: &catalog.Replay{Replay: function.Replay{Rate: 50}}}))
	now := time.Unix(1000, 0)
	starts := 0
	for end := now.Add(10 * time.Second); now.Before(end); starts++ {
		if at := p.take(now); !at.IsZero() {
			now = at
		}
	}
	if starts < 500 || starts > 506 {
		t.Errorf("%d starts in 10 s at 50 a second", starts)
	}
}
