package dispatch

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
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
