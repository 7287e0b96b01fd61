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
