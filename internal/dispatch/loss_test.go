package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// forgetful is a log that has lost what stands before start in one partition, as retention takes it.
type forgetful struct {
	eventlog.Log
	of eventlog.Partition

	mu    sync.Mutex
	start int64
}

func (l *forgetful) lose(before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start = before
}

func (l *forgetful) first(p eventlog.Partition) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p != l.of {
		return 0
	}
	return l.start
}

func (l *forgetful) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	return l.Log.Read(ctx, p, max(from, l.first(p)), o)
}

func (l *forgetful) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	b, err := l.Log.Bounds(ctx, p)
	b.Start = max(b.Start, l.first(p))
	return b, err
}

// TestWhatRetentionTakesIsReported loses events that wait in a lane, that a detached lane had yet to read, and that the scan had.
func TestWhatRetentionTakesIsReported(t *testing.T) {
	lost := &forgetful{of: eventlog.Partition{Topic: "events", ID: 0}}
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log {
		lost.Log = l
		return lost
	}})
	defer w.close()
	w.deployMax("f", 1, function.Trigger{Name: "t", Order: function.OrderNone})
	release := make(chan struct{})
	player := play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		select {
		case <-release:
			return succeed(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	few := func(d *Dispatcher) { d.window, d.drain = 5, time.Millisecond }
	n := w.nodeWith(player, few)
	for i := range 10 {
		w.append("events", newEvent(fmt.Sprint(i), "x", ""))
	}
	w.await("the lane to be full", func() bool { l := lagOf(n.d, "f"); return l.Pending == 5 && l.Detached == 1 })
	n.quit()
	for i := range 10 {
		w.append("events", newEvent(fmt.Sprint(10+i), "x", ""))
	}
	// 0 to 4 were pending, 5 to 9 unread by the lane. The scan had passed 10 events at most.
	lost.lose(15)
	close(release)
	n = w.nodeWith(player, few)
	w.await("the rest to run", func() bool { w.runs(); return lagOf(n.d, "f").Behind == 0 && w.over >= 11 })
	succeeded, expired, unseen := map[string]bool{}, map[int64]string{}, int64(0)
	for _, run := range w.finished() {
		switch run.State {
		case function.RunSucceeded:
			succeeded[run.Event.ID] = true
		case function.RunExpired:
			expired[run.Event.Offset] = run.Reason
			unseen += run.Lost
		default:
			t.Errorf("run = %+v", run)
		}
	}
	for i := 15; i < 20; i++ {
		if !succeeded[fmt.Sprint(i)] {
			t.Errorf("event %d has not run", i)
		}
	}
	for i := range int64(5) {
		if !strings.Contains(expired[i], "removed the event before its turn") {
			t.Errorf("event %d: %q, want it to have expired", i, expired[i])
		}
	}
	if unseen != 10 {
		t.Errorf("%d offsets were lost unseen, want those from 5 to 14", unseen)
	}
	if reason := expired[5]; !strings.Contains(reason, "removed offsets 5 to") {
		t.Errorf("the stretch from 5 on: %q, want it to have expired", reason)
	}
}

// TestAnEmitTopicThatGoesAwayEndsTheRun deletes the topic between the check and the commit.
func TestAnEmitTopicThatGoesAwayEndsTheRun(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Emit: &function.Emit{Topic: "out"}})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.Type == "quiet" {
			return succeed(), nil
		}
		return succeed(&event.Event{Type: "done"}), nil
	}))
	w.append("events", newEvent("0", "x", ""))
	w.awaitFinished(1)
	if err := w.disk.DeleteTopic(context.Background(), "out"); err != nil {
		t.Fatal(err)
	}
	w.append("events", newEvent("1", "x", ""), newEvent("2", "quiet", ""), newEvent("3", "x", ""), newEvent("4", "quiet", ""))
	for _, run := range w.awaitFinished(5) {
		want := function.RunSucceeded
		if run.Event.ID == "1" || run.Event.ID == "3" {
			want = function.RunDead
		}
		if run.State != want || want == function.RunDead && !strings.HasPrefix(run.Reason, "not found: ") {
			t.Errorf("run of %s is %s %q, want %s", run.Event.ID, run.State, run.Reason, want)
		}
	}
}

func TestPositionsAreMirrored(t *testing.T) {
	w := newWorld(t, setting{partitions: 2, options: Options{Drain: time.Millisecond}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	w.deploy("stuck", function.Trigger{Name: "t"})
	n := w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "stuck" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return succeed(), nil
	}))
	ends := map[int32]int64{}
	for i := range 20 {
		for _, p := range w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i))) {
			ends[p.Partition] = p.Offset + 1
		}
	}
	w.await("f to be done", func() bool { return lagOf(n.d, "f").Behind == 0 && lagOf(n.d, "stuck").Pending == 20 })
	m := newMirror(n.d)
	m.round(context.Background())
	for fn, done := range map[string]bool{"f": true, "stuck": false} {
		offsets, err := w.disk.Offsets(context.Background(), "dalamb."+fn+".t")
		if err != nil || len(offsets) != 2 {
			t.Fatalf("offsets of %s = %v, %v, want two partitions", fn, offsets, err)
		}
		for _, o := range offsets {
			if want := ends[o.Partition.ID]; done && o.Offset != want || !done && o.Offset != 0 {
				t.Errorf("%s stands at %d of partition %d, whose end is %d", fn, o.Offset, o.Partition.ID, want)
			}
		}
	}
	groups, err := w.disk.Groups(context.Background())
	if err != nil || len(groups) != 2 {
		t.Errorf("groups = %v, %v, want the two triggers", groups, err)
	}
	// A node that owns nothing knows from the mirrors alone how far the triggers are.
	other, err := New(Options{Log: w.disk, Catalog: w.cat, Invoker: play(nil)})
	if err != nil {
		t.Fatal(err)
	}
	for fn, want := range map[string]map[string]int64{"": {"f": 0, "stuck": 20}, "stuck": {"stuck": 20}} {
		lags, err := other.LagOverall(context.Background(), fn)
		if err != nil {
			t.Fatalf("LagOverall = %v", err)
		}
		for _, l := range lags {
			if behind, asked := want[l.Function]; asked && l.Trigger == "t" && l.Behind != behind {
				t.Errorf("LagOverall(%q) says that %s is %d behind, want %d", fn, l.Function, l.Behind, behind)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	w := newWorld(t, setting{options: Options{Metrics: r}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 1}})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.ID == "bad" {
			return fail("no"), nil
		}
		return succeed(), nil
	}))
	w.append("events", newEvent("good", "x", ""), newEvent("bad", "x", ""))
	w.awaitFinished(2)
	want := map[string]float64{
		"dalamb_runs_total succeeded": 1, "dalamb_runs_total dead": 1, "dalamb_attempts_failed_total failed": 1,
		"dalamb_dispatch_held_bytes ": 0,
	}
	w.await("the metrics", func() bool {
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName() + " "
				for _, l := range m.GetLabel() {
					if l.GetName() != "function" && l.GetName() != "trigger" {
						name += l.GetValue()
					}
				}
				if v, ok := want[name]; ok && v == m.GetCounter().GetValue()+m.GetGauge().GetValue() {
					found++
				}
			}
		}
		return found == len(want)
	})
}

// TestAFilterThatCannotBeReadHoldsItsTrigger stands for a filter that a newer binary has accepted.
func TestAFilterThatCannotBeReadHoldsItsTrigger(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	w.deploy("g", function.Trigger{Name: "t", Filter: []byte(`{"type":[{"sounds-like":"x"}]}`)})
	player := play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil })
	n := w.node(player)
	w.append("events", newEvent("1", "x", ""))
	w.awaitFinished(1)
	w.await("g to be held", func() bool { l := lagOf(n.d, "g"); return l.Detached == 1 && l.Behind == 1 })
	n.quit()
	n = w.node(player)
	w.await("g to be held still", func() bool { l := lagOf(n.d, "g"); return l.Detached == 1 && l.Behind == 1 })
	w.change(catalog.Deploy{Version: function.Version{Spec: function.Spec{
		Name: "g", Scale: function.Scale{Max: 1}, Triggers: []function.Trigger{{Name: "t", Topic: "events", Retry: function.Retry{Attempts: 1}}},
	}}})
	for _, run := range w.awaitFinished(2) {
		if run.State != function.RunSucceeded || run.Event.ID != "1" {
			t.Errorf("run = %+v", run)
		}
	}
}

// silent is a log that does not say any more where partitions end.
type silent struct {
	eventlog.Log
	hang atomic.Bool
}

func (l *silent) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if !l.hang.Load() {
		return l.Log.Bounds(ctx, p)
	}
	<-ctx.Done()
	return eventlog.Bounds{}, ctx.Err()
}

// TestLagIsToldWhenTheLogHangs has many partitions, so that to wait for each would take long.
func TestLagIsToldWhenTheLogHangs(t *testing.T) {
	var l *silent
	w := newWorld(t, setting{partitions: 8, options: Options{Drain: time.Millisecond}, wrap: func(inner eventlog.Log) eventlog.Log {
		l = &silent{Log: inner}
		return l
	}})
	defer w.close()
	w.deploy("stuck", function.Trigger{Name: "t"})
	n := w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	w.append("events", newEvent("1", "x", "a"), newEvent("2", "x", "b"))
	w.await("both to be pending", func() bool { return lagOf(n.d, "stuck").Pending == 2 })
	l.hang.Store(true)
	began := time.Now()
	if lag := lagOf(n.d, "stuck"); lag.Pending != 2 || lag.Behind != 2 {
		t.Errorf("lag = %+v, want the two that are known", lag)
	}
	if took := time.Since(began); took > 2*lagPatience {
		t.Errorf("Lag took %s", took)
	}
	l.hang.Store(false)
}
