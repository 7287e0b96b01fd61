package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestARunThatHangsAfterItsFunctionIsRemovedHoldsUpNobody removes the only function of a topic while it runs.
func TestARunThatHangsAfterItsFunctionIsRemovedHoldsUpNobody(t *testing.T) {
	for _, topic := range []string{"events", "out"} { // the removed function's, and another
		t.Run(topic, func(t *testing.T) {
			w := newWorld(t, setting{partitions: 1, options: Options{Drain: time.Hour}})
			defer w.close()
			w.deploy("hangs", function.Trigger{Name: "t"})
			began, release := make(chan struct{}, 1), make(chan struct{})
			n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				if c.Function == "hangs" {
					began <- struct{}{}
					<-release
				}
				return succeed(), nil
			}))
			w.append("events", newEvent("1", "x", "k"))
			<-began
			w.change(catalog.Remove{Function: "hangs"})
			w.await("the removal to be known", func() bool { return len(n.d.plan().byTopic["events"]) == 0 })
			w.deploy("next", function.Trigger{Name: "t", Topic: topic})
			w.append(topic, newEvent("2", "x", "k"))
			w.awaitFinished(1)
			close(release)
			w.awaitFinished(2)
			for _, run := range w.finished() {
				if run.State != function.RunSucceeded {
					t.Errorf("run of %s = %s, want %s", run.Function, run.State, function.RunSucceeded)
				}
			}
			w.await("the topics of no function to be left", func() bool {
				for _, p := range n.d.assignedNow() {
					if p.Topic == "events" && topic != "events" {
						return false
					}
				}
				return true
			})
		})
	}
}

// TestWhatARemovedTriggerHadToDoIsDiscarded removes a function of whose events one runs, one has failed, and others wait.
func TestWhatARemovedTriggerHadToDoIsDiscarded(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	never := function.Retry{Attempts: 3, Initial: function.Duration(1000 * time.Hour), Max: function.Duration(1000 * time.Hour), Factor: 1}
	w.o.Rand = func() float64 { return 0.9 }
	w.deploy("f", function.Trigger{Name: "t", Retry: never})
	w.deploy("paused", function.Trigger{Name: "t"})
	w.change(catalog.Pause{Function: "paused", Trigger: "t", Paused: true})
	began, release := make(chan struct{}, 2), make(chan struct{})
	n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		switch c.Invocation.Event.ID {
		case "good", "bad":
			began <- struct{}{}
			<-release
		}
		if c.Invocation.Event.Subject == "good" {
			return succeed(), nil
		}
		return fail("no"), nil
	}))
	w.append("events", newEvent("failed", "x", "failed"), newEvent("behind", "x", "failed"),
		newEvent("good", "x", "good"), newEvent("bad", "x", "bad"))
	<-began
	<-began
	w.await("the failed one to wait for its next attempt", func() bool { return len(w.runs()) == 1 })
	w.await("the paused one to fall behind", func() bool { return lagOf(n.d, "paused").Detached == 1 && lagOf(n.d, "f").Pending == 4 })
	w.change(catalog.Remove{Function: "f"})
	w.change(catalog.Remove{Function: "paused"})
	w.awaitFinished(3) // failed, behind, and the stretch
	close(release)
	got := map[string]function.Run{}
	for _, run := range w.awaitFinished(5) {
		got[run.Function+" "+run.Event.ID] = run
	}
	for _, want := range []struct {
		run      string
		state    function.RunState
		attempts int
		reason   string
	}{
		{"f failed", function.RunDiscarded, 1, "the trigger was removed"},
		{"f behind", function.RunDiscarded, 0, "the trigger was removed"},
		{"f good", function.RunSucceeded, 1, ""},
		{"f bad", function.RunDiscarded, 1, "the trigger was removed"},
		{"paused ", function.RunDiscarded, 0, "the trigger was removed before it had looked at offsets 0 to 3 of partition 0 of topic events"},
	} {
		run := got[want.run]
		if run.State != want.state || len(run.Attempts) != want.attempts || run.Reason != want.reason {
			t.Errorf("run %q = %s after %d attempts, %q; want %s, %d, %q",
				want.run, run.State, len(run.Attempts), run.Reason, want.state, want.attempts, want.reason)
		}
	}
}
