package dispatch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/shadow"
)

// offered are the invocations that were offered for a copy.
type offered struct {
	mu  sync.Mutex
	all []shadow.Copy
}

func (o *offered) Offer(c shadow.Copy) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, c)
}

func TestFirstAttemptsAreOfferedWithTheirOutcome(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	once := function.Trigger{Name: "t", Topic: "events", Filter: []byte(`{"type":["a"]}`), Order: function.OrderKey, Retry: function.Retry{Attempts: 3}}
	batch := function.Trigger{Name: "b", Topic: "events", Filter: []byte(`{"type":["b"]}`), Order: function.OrderKey, Retry: function.Retry{Attempts: 1}, Batch: &function.Batch{Size: 3, Bytes: 1 << 20, Window: function.Duration(time.Minute), OnError: function.OnErrorRetry}}
	w.deploy("pay", once, batch)
	w.deploy("pay", once, batch)
	w.change(catalog.Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1, Weights: map[int]int{2: 0}}})
	var o offered
	w.o.Shadow = &o
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event != nil && c.Invocation.Attempt < 3 {
			return fail("not yet"), nil
		}
		return succeed(), nil
	}))
	sent := []*event.Event{{ID: "1", Source: "/t", Type: "a", Extensions: map[string]any{event.ExtPartitionKey: "k"}}}
	for i := range 3 {
		sent = append(sent, &event.Event{ID: fmt.Sprint("b", i), Source: "/t", Type: "b", Extensions: map[string]any{event.ExtPartitionKey: "k"}})
	}
	w.append("events", sent...)
	w.awaitFinished(4)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) != 2 {
		t.Fatalf("%d invocations were offered, want the first attempt and the batch: %+v", len(o.all), o.all)
	}
	for _, c := range o.all {
		if c.Key != "k" || c.Alias != "live" || c.Function != "pay" || c.Event.Topic != "events" || c.Cause == nil {
			t.Errorf("offered %+v", c)
		}
		switch c.Invocation.Trigger {
		case "t":
			if c.Result.Outcome != function.Failed || c.Invocation.Attempt != 1 || c.Invocation.Event.ID != "1" {
				t.Errorf("offered %+v with %+v, want the first attempt", c.Invocation, c.Result)
			}
		case "b":
			if all, err := event.DecodeBatch(c.Invocation.Payload); err != nil || len(all) != 3 {
				t.Errorf("offered a batch of %d (%v), want it whole", len(all), err)
			}
		}
	}
}

// While traffic has moved already there is nothing to foresee.
func TestNothingIsOfferedOnceTrafficHasMoved(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("pay", function.Trigger{Name: "t", Topic: "events", Order: function.OrderKey, Retry: function.Retry{Attempts: 1}})
	w.deploy("pay", function.Trigger{Name: "t", Topic: "events", Order: function.OrderKey, Retry: function.Retry{Attempts: 1}})
	w.change(catalog.Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1, Weights: map[int]int{2: 100}}})
	var o offered
	w.o.Shadow = &o
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) { return succeed(), nil }))
	w.append("events", &event.Event{ID: "1", Source: "/t", Type: "a"})
	w.awaitFinished(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) != 0 {
		t.Errorf("offered %+v, want nothing while the alias's versions share its traffic", o.all)
	}
}
