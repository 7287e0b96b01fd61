package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestTheLagOfASoughtTriggerIsNeverNothing asks as soon as the seek is known, before and after the actors have heard of it, and beside a replay.
func TestTheLagOfASoughtTriggerIsNeverNothing(t *testing.T) {
	w := newWorld(t, setting{partitions: 2})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	var held atomic.Bool
	calls := play(func(ctx context.Context, _ fleet.Call) (*function.Result, error) {
		if held.Load() {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return succeed(), nil
	})
	w.o.Drain = time.Millisecond
	n := w.nodeWith(calls, func(d *Dispatcher) { d.shown = time.Hour }) // so that seeks alone are mirrored
	w.numbered(0, 20)
	w.awaitFinished(20)
	w.await("the trigger to be done", func() bool { return lagOf(n.d, "f").Behind == 0 })
	held.Store(true)
	b, err := w.disk.Bounds(context.Background(), eventlog.Partition{Topic: "events", ID: 1})
	if err != nil || b.End == 0 {
		t.Fatalf("Bounds = %+v, %v, want some events", b, err)
	}
	w.replay(function.Replay{Name: "beside"}, nil)
	w.seek("f", map[int32]int64{1: 0}, true)
	tr, err := w.cat.View().Trigger("f", "t")
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		rows := 0
		lags, err := n.d.Lag()
		if err != nil {
			t.Errorf("%s Lag = %v", when, err)
		}
		for _, l := range lags {
			if l.Function != "f" || l.Trigger != "t" {
				continue
			}
			if rows++; l.Behind != b.End {
				t.Errorf("%s the trigger is %d behind, want %d", when, l.Behind, b.End)
			}
		}
		if rows != 1 {
			t.Errorf("%s there are %d lags of the trigger, want one", when, rows)
		}
		at, err := n.d.Positions(context.Background(), tr)
		if err != nil || at[1] != 0 {
			t.Errorf("%s it stands at %v, %v, want 0 in partition 1", when, at, err)
		}
	}
	w.await("the node to know of the seek", func() bool { return n.d.plan().view.Offset >= w.cat.View().Offset })
	for range 20 {
		look("right after the seek")
	}
	n.heed(w)
	look("when the actors know of it")

	// The next node has the partitions and has started none of them: it knows from the mirrors.
	next, err := New(Options{Log: w.disk, Catalog: w.cat, Invoker: calls})
	if err != nil {
		t.Fatal(err)
	}
	for id := range int32(2) {
		p := eventlog.Partition{Topic: "events", ID: id}
		next.partitions[p] = &partition{d: next, id: p}
	}
	w.await("the next node to know how far it is", func() bool {
		lags, err := next.LagOverall(context.Background(), "f")
		if err != nil {
			t.Fatalf("LagOverall = %v", err)
		}
		for _, l := range lags {
			if l.Trigger == "t" {
				return l.Behind == b.End
			}
		}
		return false
	})
}

// TestPositionsThatWereLostAreMirroredAgain has somebody else move a group, as brokers forget those that nothing has moved for a week.
func TestPositionsThatWereLostAreMirroredAgain(t *testing.T) {
	clock := &hurry{}
	w := newWorld(t, setting{partitions: 1, options: Options{Now: clock.now}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	n := w.nodeWith(&tally{}, func(d *Dispatcher) { d.shown = time.Hour })
	w.numbered(0, 5)
	w.awaitFinished(5)
	w.await("the trigger to be done", func() bool { return lagOf(n.d, "f").Behind == 0 })
	ctx, m := context.Background(), newMirror(n.d)
	at := func() int64 {
		t.Helper()
		offsets, err := w.disk.Offsets(ctx, "dalamb.f.t")
		if err != nil || len(offsets) != 1 {
			t.Fatalf("offsets = %v, %v, want one partition", offsets, err)
		}
		return offsets[0].Offset
	}
	m.round(ctx)
	want := at()
	if err := w.disk.CommitOffsets(ctx, "dalamb.f.t", []eventlog.GroupOffset{{Partition: eventlog.Partition{Topic: "events"}, Offset: 1}}); err != nil {
		t.Fatal(err)
	}
	m.round(ctx)
	if got := at(); got != 1 {
		t.Errorf("a trigger that has not moved was mirrored at once, at %d", got)
	}
	clock.ahead.Add(int64(mirrorAnew))
	m.round(ctx)
	if got := at(); want != 5 || got != want {
		t.Errorf("a day later the group stands at %d, before at %d, want 5", got, want)
	}
}

// mute is a log that does not say where partitions end, or where groups stand, while it is told so.
type mute struct {
	eventlog.Log
	bounds, offsets atomic.Bool
	asked           atomic.Int64 // for a group's position
}

var errMute = errors.New("nobody answers")

func (m *mute) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if m.bounds.Load() {
		return eventlog.Bounds{}, errMute
	}
	return m.Log.Bounds(ctx, p)
}

func (m *mute) Offsets(ctx context.Context, group string) ([]eventlog.GroupOffset, error) {
	m.asked.Add(1)
	if m.offsets.Load() {
		return nil, errMute
	}
	return m.Log.Offsets(ctx, group)
}

// TestTheLagOfEveryTriggerIsKnownElsewhereOrSaidToBePartial has more triggers than are mirrored at a time.
func TestTheLagOfEveryTriggerIsKnownElsewhereOrSaidToBePartial(t *testing.T) {
	const many = mirrorMost + 20
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	for _, fn := range []string{"f", "g"} {
		var triggers []function.Trigger
		for i := range many / 2 {
			triggers = append(triggers, function.Trigger{Name: fmt.Sprintf("t%03d", i)})
		}
		w.deploy(fn, triggers...)
	}
	w.numbered(0, 3)
	log, now := &mute{Log: w.disk}, time.Now()
	d, err := New(Options{Log: log, Catalog: w.cat, Invoker: play(nil), Now: func() time.Time { return now }}) // it owns nothing
	if err != nil {
		t.Fatal(err)
	}
	w.await("the node to know the triggers", func() bool { return len(d.plan().triggers) >= many })
	ask := func(what string, behind int64, partial bool, why error) {
		t.Helper()
		lags, err := d.LagOverall(context.Background(), "")
		if !errors.Is(err, why) {
			t.Errorf("%s: LagOverall = %v, want %v", what, err, why)
		}
		some := 0
		for _, l := range lags {
			if l.Trigger == function.InvokeTrigger {
				continue
			}
			if some++; l.Behind != behind || l.Partial != partial {
				t.Fatalf("%s: %s/%s is %d behind, partial %v, want %d, %v", what, l.Function, l.Trigger, l.Behind, l.Partial, behind, partial)
			}
		}
		if some != many {
			t.Errorf("%s: %d triggers, want %d", what, some, many)
		}
	}
	log.offsets.Store(true)
	ask("where nobody says how far they are", 0, true, errMute)
	log.offsets.Store(false)
	ask("where all is known", 3, false, nil)
	before := log.asked.Load()
	log.offsets.Store(true)
	ask("right after that", 3, false, nil)
	if n := log.asked.Load() - before; n != 0 {
		t.Errorf("right after that the log was asked for %d groups, want none", n)
	}
	now = now.Add(elsewhereGood)
	ask("a while later", 0, true, errMute)
	log.bounds.Store(true)
	ask("where nobody says where partitions end", 0, true, errMute)
}

// TestWhoAsksForTheLagAtOnceSharesTheAnswer: a page asks twice.
func TestWhoAsksForTheLagAtOnceSharesTheAnswer(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	log := &slow{Log: w.disk, began: make(chan struct{}), again: make(chan struct{}), goOn: make(chan struct{})}
	d, err := New(Options{Log: log, Catalog: w.cat, Invoker: play(nil)})
	if err != nil {
		t.Fatal(err)
	}
	w.await("the node to know the trigger", func() bool { return len(d.plan().triggers) > 0 })
	var asking sync.WaitGroup
	ask := func() {
		asking.Go(func() {
			if lags, err := d.LagOverall(context.Background(), ""); err != nil || len(lags) == 0 {
				t.Errorf("LagOverall = %v, %v", lags, err)
			}
		})
	}
	ask()
	<-log.began
	for range 3 {
		ask()
	}
	select {
	case <-log.again:
		t.Error("the log was asked by each, want once for all")
	case <-time.After(100 * time.Millisecond): // they wait, or have not begun
	}
	close(log.goOn)
	asking.Wait()
}

// slow is a log that waits with its answer what topics there are.
type slow struct {
	eventlog.Log
	began, again, goOn chan struct{}
	asked              atomic.Int64
}

func (s *slow) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	switch s.asked.Add(1) {
	case 1:
		close(s.began)
	case 2:
		close(s.again)
	}
	<-s.goOn
	return s.Log.Topics(ctx)
}

func TestTheLagOfOwnPartitionsIsPartialWhileTheLogDoesNotAnswer(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	log := &mute{}
	w := newWorld(t, setting{partitions: 1, options: Options{Metrics: r}, wrap: func(l eventlog.Log) eventlog.Log { log.Log = l; return log }})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	n := w.nodeWith(&tally{}, func(*Dispatcher) {})
	w.numbered(0, 5)
	w.awaitFinished(5)
	w.await("the trigger to be done", func() bool { return lagOf(n.d, "f").Behind == 0 })
	for _, silent := range []bool{true, false} {
		log.bounds.Store(silent)
		_, err := n.d.Lag()
		if got := lagOf(n.d, "f").Partial; got != silent || (err != nil) != silent {
			t.Errorf("with a silent log %v: partial %v, %v", silent, got, err)
		}
		want := "dalamb_trigger_lag_partial{function=\"f\",trigger=\"t\"} 0\n"
		if silent {
			want = "dalamb_trigger_lag_partial{function=\"f\",trigger=\"t\"} 1\n"
		}
		help := "# HELP dalamb_trigger_lag_partial Whether the log has not said where all partitions end, so that a trigger may be further behind.\n# TYPE dalamb_trigger_lag_partial gauge\n"
		if err := testutil.GatherAndCompare(r, strings.NewReader(help+want), "dalamb_trigger_lag_partial"); err != nil {
			t.Error(err)
		}
	}
}
