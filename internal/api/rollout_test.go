package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestARolloutIsChangedThoughSomebodyElseChangesTheFunction(t *testing.T) {
	n := newNode(t)
	n.several(2)
	if _, err := n.catalog.Submit(t.Context(), catalog.Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1}}); err != nil {
		t.Fatal(err)
	}
	start := catalog.StartRollout{Function: "pay", Alias: "live", Version: 2, Rollout: *function.NewRollout(function.StrategyCanary)}
	if _, err := n.catalog.Submit(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	for round := range 50 {
		paused := round%2 == 0
		other := make(chan error, 1)
		go func() {
			_, err := n.catalog.Submit(t.Context(), catalog.Pause{Function: "pay", Trigger: "on-order", Paused: paused})
			other <- err
		}()
		change := n.client.ResumeRollout
		if paused {
			change = n.client.PauseRollout
		}
		if _, err := change(t.Context(), "pay", "live"); err != nil {
			t.Fatalf("change %d of the roll-out = %v", round, err)
		}
		if err := <-other; err != nil && fault.KindOf(err) != fault.Conflict {
			t.Fatalf("the other change = %v", err)
		}
	}
	if _, err := n.client.AbortRollout(t.Context(), "pay", "live"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.AbortRollout(t.Context(), "pay", "live"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second abort = %v, want a Conflict fault: it is not under way", err)
	}
}
