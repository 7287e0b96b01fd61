package api

import (
	"context"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
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

func TestADeployHoldsThoughTheRolloutBeforeItTakesAStep(t *testing.T) {
	n := newNode(t)
	n.several(2)
	if _, err := n.catalog.Submit(t.Context(), catalog.Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1}}); err != nil {
		t.Fatal(err)
	}
	rules := *function.NewRollout(function.StrategyCanary)
	for round := range 50 {
		start := catalog.StartRollout{Function: "pay", Alias: "live", Version: 2, Rollout: rules}
		if _, err := n.catalog.Submit(t.Context(), start); err != nil {
			t.Fatal(err)
		}
		f, err := n.catalog.View().Function("pay")
		ok(t, err)
		v := f.Versions[len(f.Versions)-1]
		spec := v.Spec
		spec.Rollout, spec.Keep = &rules, 100
		spec.Env = map[string]string{"ROUND": fmt.Sprint(round)}
		other := make(chan error, 1)
		go func() { // what a step of the roll-out does: it changes the function
			_, err := n.catalog.Submit(context.Background(), catalog.Pause{Function: "pay", Trigger: "on-order", Paused: round%2 == 0})
			other <- err
		}()
		made, err := n.api.Deploy(t.Context(), wire.DeployRequest{Spec: spec, Code: v.Code})
		if err != nil || !made.Created || made.Rollout == 0 {
			t.Fatalf("deploy %d = %+v, %v; want a version and its roll-out", round, made, err)
		}
		if err := <-other; err != nil && fault.KindOf(err) != fault.Conflict {
			t.Fatalf("the other change = %v", err)
		}
	}
}
