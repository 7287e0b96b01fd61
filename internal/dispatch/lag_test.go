package dispatch

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

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
		for _, l := range n.d.Lag() {
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
