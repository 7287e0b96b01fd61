package dispatch

import (
	"context"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestADeadLetterRunsAgainWithAnotherEvent edits one until it succeeds, on a version of its own.
func TestADeadLetterRunsAgainWithAnotherEvent(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Retry: function.Retry{Attempts: 1}, Emit: &function.Emit{Topic: "out"}})
	w.deploy("other", function.Trigger{Name: "t"})
	var mu sync.Mutex
	var calls []fleet.Call
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "other" {
			return succeed(), nil
		}
		mu.Lock()
		calls = append(calls, c)
		mu.Unlock()
		if c.Invocation.Event.Type != "good" {
			return fail("no " + c.Invocation.Event.Type), nil
		}
		return succeed(&event.Event{Type: "done"}), nil
	}))
	w.append("events", newEvent("1", "bad", "k"))
	w.await("the run to die", func() bool { return len(w.dead()) == 1 })
	id, ctx := "", context.Background()
	for id = range w.dead() {
	}
	if _, err := w.newest().Edit(ctx, "none", newEvent("2", "good", "k"), 0); fault.KindOf(err) != fault.NotFound {
		t.Errorf("edit of no dead letter = %v, want not found", err)
	}
	if _, err := w.newest().Edit(ctx, id, newEvent("2", "worse", "k"), 0); err != nil {
		t.Fatal(err)
	}
	w.await("it to die again", func() bool {
		dl, ok := w.dead()[id]
		return ok && len(dl.Run.Attempts) == 2 && dl.Says("NO WORSE")
	})
	edited, err := w.newest().Edit(ctx, id, newEvent("2", "good", "k"), 7)
	if err != nil {
		t.Fatal(err)
	}
	w.await("the dead letter to be resolved", func() bool { return len(w.dead()) == 0 })
	mu.Lock()
	last := calls[len(calls)-1]
	mu.Unlock()
	if last.Version != 7 || last.Invocation.Event.ID != edited || last.Invocation.Event.ID == "2" || last.Invocation.Trigger != "t" {
		t.Errorf("the last call = version %d, event %s of trigger %s; want 7, %s, t", last.Version, last.Invocation.Event.ID, last.Invocation.Trigger, edited)
	}
	out := w.records("out")
	if len(out) != 1 {
		t.Fatalf("%d events emitted, want 1", len(out))
	}
	if e, err := eventlog.ToEvent(out[0]); err != nil || e.Extension(event.ExtCausationID) != edited {
		t.Errorf("emitted %+v, %v, want one that %s caused", e, err, edited)
	}
	if n := len(w.records("events")); n != 1 {
		t.Errorf("%d events in the topic, want the first alone", n)
	}
}

func TestARedriveSaysHowFarItIs(t *testing.T) {
	w, _, mended := graveyard(t, 4)
	defer w.close()
	mended.Store(true)
	slow := w.redrive(RedriveRequest{Function: "f", Error: "not YET", Rate: 20})
	seen := map[int]bool{}
	w.await("the redrive to finish", func() bool {
		s, err := w.newest().RedriveState(context.Background(), slow)
		if err != nil {
			t.Fatal(err)
		}
		seen[s.Sent] = true
		return s.Finished
	})
	if !seen[4] || len(seen) < 2 {
		t.Errorf("seen on the way: %v, want several numbers up to 4", seen)
	}
	if n := w.jobCount(w.redrive(RedriveRequest{Error: "something else"})); n != 0 {
		t.Errorf("%d dead letters with another error were redriven", n)
	}
	if _, err := w.newest().RedriveState(context.Background(), "none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("state of no redrive = %v, want not found", err)
	}
}
