package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func unavailable() error { return fault.New(fault.Unavailable, "the disk hiccups") }

func TestAnEventRunsItsFunctionAndWhatItEmitsIsInTheLog(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deploy("pay", function.Trigger{Name: "on-order", Filter: []byte(`{"type":["order"]}`), Emit: &function.Emit{Topic: "out"}})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		return succeed(&event.Event{ID: "mine", Type: "paid"}), nil
	}))
	w.append("events", newEvent("1", "order", "k"), newEvent("2", "other", "k"))
	runs := w.awaitFinished(1)
	if run := runs[0]; run.State != function.RunSucceeded || run.Event.ID != "1" || run.Function != "pay" || len(run.Emitted) != 1 {
		t.Errorf("run = %+v, want order 1 succeeded with one event", run)
	}
	out := w.records("out")
	if len(out) != 1 {
		t.Fatalf("%d events emitted, want 1", len(out))
	}
}

func TestNobodyElseMarksAnEventAsACopy(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deploy("pay", function.Trigger{Name: "on-order"})
	marks := make(chan any, 1)
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		marks <- c.Invocation.Event.Extensions[event.ExtShadow]
		return succeed(), nil
	}))
	e := newEvent("1", "order", "k")
	if err := e.SetExtension(event.ExtShadow, true); err != nil {
		t.Fatal(err)
	}
	w.append("events", e)
	if mark := <-marks; mark != nil {
		t.Errorf("the function sees %s = %v, want none", event.ExtShadow, mark)
	}
}

func TestEveryEventRunsOnceInOrderOfItsKey(t *testing.T) {
	w := newWorld(t, setting{partitions: 4})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	var mu sync.Mutex
	seen := map[string][]string{}
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		e := c.Invocation.Event
		seen[e.Subject] = append(seen[e.Subject], e.ID)
		return succeed(), nil
	}))
	const keys, each = 20, 50
	for n := range each {
		var es []*event.Event
		for k := range keys {
			es = append(es, newEvent(fmt.Sprintf("%d-%03d", k, n), "x", fmt.Sprintf("key%d", k)))
		}
		w.append("events", es...)
	}
	w.awaitFinished(keys * each)
	for k, ids := range seen {
		if len(ids) != each {
			t.Errorf("key %s ran %d times, want %d", k, len(ids), each)
		}
		for i := 1; i < len(ids); i++ {
			if ids[i-1] >= ids[i] {
				t.Fatalf("key %s ran %s before %s", k, ids[i-1], ids[i])
			}
		}
	}
}

func TestOrderPartitionIsStrict(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Order: function.OrderPartition})
	var l ledger
	var active atomic.Int32
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if active.Add(1) > 1 {
			t.Error("two events of the partition run at a time")
		}
		defer active.Add(-1)
		if c.Invocation.Attempt == 1 && c.Invocation.Event.Subject == "3" {
			return fail("once"), nil
		}
		l.note(c)
		return succeed(), nil
	}))
	for i := range 100 {
		w.append("events", newEvent(fmt.Sprintf("%03d", i), "x", fmt.Sprint(i%7)))
	}
	w.awaitFinished(100)
	for i, id := range l.of("f") {
		if id != fmt.Sprintf("%03d", i) {
			t.Fatalf("run %d is event %s", i, id)
		}
	}
}

// TestKeysRunFarBeyondThePartitions has one partition and as many invocations at a time as there are keys.
func TestKeysRunFarBeyondThePartitions(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	const keys = 100
	w.deployMax("f", keys, function.Trigger{Name: "t"})
	var active atomic.Int32
	all := make(chan struct{})
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) {
		if active.Add(1) == keys {
			close(all)
		}
		<-all
		return succeed(), nil
	}))
	for i := range keys {
		w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))
	}
	w.awaitFinished(keys)
}

// TestAKeyDoesNotRunFarAheadOfTheLog holds commits back and sees that a key goes on for so many events, in order, and another key goes on
// beside it.
func TestAKeyDoesNotRunFarAheadOfTheLog(t *testing.T) {
	var blocked atomic.Bool
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log {
		return brittle{l, func() (before, after bool) { return blocked.Load(), false }}
	}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	var l ledger
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		l.note(c)
		blocked.Store(c.Invocation.Event.ID != "0")
		return succeed(), nil
	}))
	w.append("events", newEvent("0", "x", "first"))
	w.awaitFinished(1)
	want := []string{"0"}
	var all []*event.Event
	for i := 1; i <= aheadMost+3; i++ {
		all = append(all, newEvent(fmt.Sprint(i), "x", "k"))
		want = append(want, fmt.Sprint(i))
	}
	w.append("events", all...)
	w.await("some of the key", func() bool { return len(l.of("f")) == 1+aheadMost })
	w.append("events", newEvent("other", "x", "other"))
	w.await("the other key", func() bool { return len(l.of("f")) == 1+aheadMost+1 })
	ran := l.of("f")
	if ran[1+aheadMost] != "other" {
		t.Errorf("ran %v, want another key behind %d of the first", ran, aheadMost)
	}
	w.await("the log to work again", func() bool {
		blocked.Store(false)
		return len(l.of("f")) == 1+len(all)+1
	})
	blocked.Store(false)
	w.awaitFinished(1 + len(all) + 1)
	if ran := slices.DeleteFunc(l.of("f"), func(id string) bool { return id == "other" }); !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
}
