package dispatch

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAbout(t *testing.T) {
	dead := &work{trigger: &catalog.Trigger{Function: "f"}, run: "r", state: function.RunDead}
	if err := (record{now: time.Now}).do(context.Background(), dead); err != nil {
		t.Fatal(err)
	}
	resolved, err := resolved("r", "redriven", "s", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	request := &event.Event{ID: "1", Source: "/test", Type: event.TypeRequestCompleted, Subject: "f", Data: []byte(`{"function":"f"}`)}
	own := &event.Event{ID: "1", Source: "/test", Type: "order.created", Subject: "f", Data: []byte(`{"function":"f"}`)}
	for _, tt := range []struct {
		what   string
		record eventlog.Record
		want   string
	}{
		{"the end of a run", dead.records[0], "f"},
		{"a dead letter", dead.records[1], "f"},
		{"a dead letter that is resolved", resolved[1], ""},
		{"a request", eventlog.FromEvent(function.TopicRequests, request), "f"},
		{"an event of somebody else", eventlog.FromEvent(function.TopicEvents, own), ""},
	} {
		e, err := eventlog.ToEvent(tt.record)
		if err != nil {
			t.Fatal(err)
		}
		if got := about(tt.record.Topic, e); got != tt.want {
			t.Errorf("about(%s) = %q, want %q", tt.what, got, tt.want)
		}
	}
}

// TestAFunctionIsNotOfferedItsOwnRuns has functions listen to all runs and to all dead letters, their own among them.
func TestAFunctionIsNotOfferedItsOwnRuns(t *testing.T) {
	for _, topic := range []string{function.TopicRuns, function.TopicDead} {
		t.Run(topic, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1})
			defer w.close()
			once := function.Retry{Attempts: 1}
			w.deploy("bad", function.Trigger{Name: "t", Retry: once})
			w.deploy("watch", function.Trigger{Name: "t", Topic: topic, Retry: once})
			var own atomic.Int64
			n := w.nodeWith(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				if c.Function == "watch" && about(topic, c.Invocation.Event) == "watch" {
					own.Add(1)
				}
				return fail("no"), nil
			}), func(d *Dispatcher) { d.window = 1 }) // so that the lane reads for itself too
			for _, id := range []string{"1", "2", "3", "4"} {
				w.append("events", newEvent(id, "x", id))
			}
			w.await("all to be dead", func() bool { return len(w.dead()) >= 8 })
			w.await("the watcher to come to rest", func() bool { return lagOf(n.d, "watch").Behind == 0 })
			if n := own.Load(); n != 0 {
				t.Errorf("the function ran %d times for what it had done itself, want 0", n)
			}
			if n := len(w.finished()); n != 8 {
				t.Errorf("%d runs, want 8", n)
			}
		})
	}
}
