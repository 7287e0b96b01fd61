package deliver

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestACanaryGoesThroughItsSteps(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyCanary)
	for step, weight := range []int{5, 25, 50, 100} {
		r := h.awaitStep(id, step+1)
		if r.Ended != nil || r.Weight() != weight || h.live().Weights[2] != weight {
			t.Fatalf("step %d: %+v with live %+v, want %d of 100", step+1, r.Ended, h.live(), weight)
		}
		h.serve(traffic{version: 1, count: 30}, traffic{version: 2, count: 20 + step})
		h.clock.pass(r.Hold(step + 1))
	}
	r := h.awaitEnd(id)
	if r.State != function.RolloutSucceeded || h.live().Primary != 2 || h.live().Weights != nil {
		t.Errorf("it is %s with live %+v, want succeeded on version 2", r.State, h.live())
	}
	if got := r.Taken[1].Facts; got.New.Invocations != 20 || got.Old.Invocations != 30 || got.Before {
		t.Errorf("the first step was judged by %+v, want 20 invocations of the new and 30 of the old version", got)
	}
	if got := r.Ended.Facts.New.Invocations; got != 23 {
		t.Errorf("the last step was judged by %d invocations, want its own 23", got)
	}
}

func TestABreachMovesTheTrafficBack(t *testing.T) {
	for name, test := range map[string]struct {
		traffic []traffic
		gate    function.Gate
		says    string
	}{
		"failures":        {[]traffic{{version: 1, count: 100}, {version: 2, count: 40, failing: 4}}, function.GateErrors, "4 of 40 invocations failed (10.0 %)"},
		"slower":          {[]traffic{{version: 1, count: 100, took: 50 * time.Millisecond}, {version: 2, count: 40, took: 200 * time.Millisecond}}, function.GateLatency, "took up to 200ms"},
		"the old unknown": {[]traffic{{version: 2, count: 40, failing: 4}}, function.GateErrors, "of the old version too little is known"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.keep()
			id := h.start(function.StrategyCanary)
			h.awaitStep(id, 1)
			h.clock.pass(time.Second)
			h.serve(test.traffic...)
			r := h.awaitEnd(id)
			if r.State != function.RolloutFailed || r.Ended.Gate != test.gate || !strings.Contains(r.Ended.Reason, test.says) || r.Ended.Facts == nil {
				t.Errorf("it is %s by %+v, want failed by %s with %q", r.State, r.Ended, test.gate, test.says)
			}
			if live := h.live(); live.Primary != 1 || live.Weights != nil {
				t.Errorf("live = %+v, want version 1 alone", live)
			}
		})
	}
}

func TestWhatIsNoBreach(t *testing.T) {
	for name, all := range map[string][]traffic{
		"nothing":                  nil,
		"too few":                  {{version: 2, count: 19, failing: 19}},
		"as bad as the old one":    {{version: 1, count: 100, failing: 50}, {version: 2, count: 100, failing: 54}},
		"three times a little":     {{version: 1, count: 100, took: 2 * time.Millisecond}, {version: 2, count: 100, took: 20 * time.Millisecond}},
		"slow, and nothing before": {{version: 2, count: 100, took: time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.keep()
			id := h.start(function.StrategyAtOnce)
			r := h.awaitStep(id, 1)
			h.serve(all...)
			h.clock.pass(r.Hold(1))
			if r = h.awaitEnd(id); r.State != function.RolloutSucceeded {
				t.Errorf("it is %s: %+v, want succeeded", r.State, r.Ended)
			}
		})
	}
}

func TestTheOldVersionIsKnownFromBefore(t *testing.T) {
	h := newHouse(t)
	h.serve(traffic{version: 1, count: 100, failing: 10, took: 40 * time.Millisecond})
	h.clock.pass(30 * time.Second)
	h.keep()
	id := h.start(function.StrategyAtOnce)
	r := h.awaitStep(id, 1)
	h.serve(traffic{version: 2, count: 100, failing: 14, took: 40 * time.Millisecond})
	h.clock.pass(r.Hold(1))
	r = h.awaitEnd(id)
	if f := r.Ended.Facts; r.State != function.RolloutSucceeded || !f.Before || f.Old.Errors != 10 {
		t.Errorf("it is %s by %+v, want succeeded: as many fail as before", r.State, f)
	}
}

func TestFewInvocationsAreJudgedOverAllSteps(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyCanary)
	for step := range 2 {
		r := h.awaitStep(id, step+1)
		h.serve(traffic{version: 1, count: 100}, traffic{version: 2, count: 10, failing: 10})
		h.clock.pass(r.Hold(step + 1))
	}
	if r := h.awaitEnd(id); r.State != function.RolloutFailed || r.Ended.Facts.New.Invocations != 20 {
		t.Errorf("it is %s by %+v, want failed by those of both steps", r.State, r.Ended)
	}
}

func TestNoTrafficMovesToWhatDoesNotStart(t *testing.T) {
	h := newHouse(t)
	h.fleet.says(func(context.Context, *function.Version) error {
		return fmt.Errorf("%w: no such module", fleet.ErrNoStart)
	})
	h.keep()
	r := h.awaitEnd(h.start(function.StrategyAtOnce))
	if r.State != function.RolloutFailed || r.Ended.Gate != function.GateStart || r.Taken != nil || !strings.Contains(r.Ended.Reason, "no such module") {
		t.Errorf("it is %s: %+v after %d steps, want failed at once, with the reason", r.State, r.Ended, len(r.Taken))
	}
}

func TestWhatTheNodeCannotDoIsNoVerdict(t *testing.T) {
	h := newHouse(t)
	tried := make(chan struct{}, 100)
	h.fleet.says(func(context.Context, *function.Version) error {
		select {
		case tried <- struct{}{}:
		default:
		}
		return unavailable()
	})
	h.keep()
	id := h.start(function.StrategyAtOnce)
	for range 3 {
		<-tried
	}
	if r := h.catalog.View().RolloutByID("pay", id); r.Ended != nil {
		t.Fatalf("it has ended: %+v", r.Ended)
	}
	h.clock.pass(2 * time.Minute)
	if r := h.awaitEnd(id); r.Ended.Gate != function.GateStart || !strings.Contains(r.Ended.Reason, "was not ready within 1m: not now") {
		t.Errorf("its end = %+v, want the start that took too long", r.Ended)
	}
}

func TestACheckIsAskedBeforeEachStep(t *testing.T) {
	h := newHouse(t)
	h.caller.answer = answers(`{"ok": true}`)
	h.keep()
	id := h.start(function.StrategyAtOnce, func(r *function.Rollout) { r.Gates.Check = "smoke" })
	r := h.awaitStep(id, 1)
	h.serve(traffic{version: 2, count: 3})
	h.clock.pass(r.Hold(1))
	if r = h.awaitEnd(id); r.State != function.RolloutSucceeded {
		t.Fatalf("it is %s: %+v", r.State, r.Ended)
	}
	asked := h.caller.questions()
	if len(asked) != 2 || asked[0].Weight != 0 || asked[0].Facts != nil || asked[1].Weight != 100 || asked[1].Facts.New.Invocations != 3 {
		t.Errorf("asked %+v, want once before any traffic and once with all of it", asked)
	}
	want := function.RolloutCheck{Function: "pay", Alias: "live", From: 1, To: 2, Strategy: function.StrategyAtOnce}
	if got := asked[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("asked %+v, want %+v", got, want)
	}
}

func TestAChecksNoMovesTheTrafficBack(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(int) (*function.Result, error)
		says   string
	}{
		"no":             {answers(`{"ok": false, "reason": "the sums differ"}`), "smoke says no: the sums differ"},
		"no, only":       {answers(`{"ok": false}`), "no reason given"},
		"something else": {answers(`"fine"`), `answered neither {"ok": true} nor {"ok": false}: "\"fine\""`},
		"nothing": {func(int) (*function.Result, error) {
			return &function.Result{Outcome: function.TimedOut, Failure: &function.Failure{Message: "over its time"}}, nil
		}, "gave no answer, 3 times: over its time"},
		"no way": {func(int) (*function.Result, error) { return nil, unavailable() }, "gave no answer, 3 times: not now"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.caller.answer = test.answer
			h.keep()
			r := h.awaitEnd(h.start(function.StrategyAtOnce, func(r *function.Rollout) { r.Gates.Check = "smoke" }))
			if r.State != function.RolloutFailed || r.Ended.Gate != function.GateCheck || !strings.Contains(r.Ended.Reason, test.says) || r.Taken != nil {
				t.Errorf("it is %s: %+v, want failed with %q before any traffic", r.State, r.Ended, test.says)
			}
		})
	}
	h := newHouse(t)
	h.caller.answer = func(n int) (*function.Result, error) {
		if n < checkTries {
			return nil, unavailable()
		}
		return answers(`{"ok": true}`)(n)
	}
	h.keep()
	if r := h.awaitStep(h.start(function.StrategyAtOnce, func(r *function.Rollout) { r.Gates.Check = "smoke" }), 1); r.Ended != nil {
		t.Errorf("an answer at the third try = %+v, want it to count", r.Ended)
	}
}

// A keeper that ends in the middle leaves the rest to the next one, which knows what there was before.
func TestTheNextOwnerGoesOn(t *testing.T) {
	h := newHouse(t)
	stop := h.keep()
	id := h.start(function.StrategyCanary)
	r := h.awaitStep(id, 1)
	h.serve(traffic{version: 1, count: 50}, traffic{version: 2, count: 10})
	h.clock.pass(r.Hold(1))
	h.awaitStep(id, 2)
	h.serve(traffic{version: 1, count: 50}, traffic{version: 2, count: 9, failing: 2})
	stop()
	h.clock.pass(time.Second)
	h.keep()
	h.serve(traffic{version: 2, count: 2})
	r = h.awaitEnd(id)
	if r.State != function.RolloutFailed || r.Step != 2 || r.Ended.Facts.New.Invocations < 20 || r.Ended.Facts.New.Errors != 2 {
		t.Errorf("it is %s in step %d by %+v, want failed by what was there before", r.State, r.Step, r.Ended.Facts)
	}
}

func TestTwoKeepersCarryOutOneRollout(t *testing.T) {
	h := newHouse(t)
	h.keep()
	h.keep()
	id := h.start(function.StrategyCanary)
	for step := range 4 {
		r := h.awaitStep(id, step+1)
		h.clock.pass(r.Hold(step + 1))
	}
	if r := h.awaitEnd(id); r.State != function.RolloutSucceeded || len(r.Taken) != 4 {
		t.Errorf("it is %s after %d steps, want 4", r.State, len(r.Taken))
	}
}

func TestAPausedRolloutStaysAndIsJudged(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyCanary)
	h.awaitStep(id, 1)
	h.submit(catalog.HoldRollout{Function: "pay", ID: id, Paused: true})
	h.clock.pass(time.Hour)
	h.serve(traffic{version: 1, count: 100}, traffic{version: 2, count: 100, failing: 100})
	if r := h.awaitEnd(id); r.State != function.RolloutFailed || r.Step != 1 {
		t.Errorf("it is %s in step %d, want failed in the step in which it was paused", r.State, r.Step)
	}
}

func TestTheOneThatWaitedIsCarriedOut(t *testing.T) {
	h := newHouse(t)
	h.keep()
	v := function.Version{Spec: function.Spec{Name: "pay"}}
	h.submit(catalog.Deploy{Version: v, Aside: true})
	queue := func(r *function.Rollout) { r.OnNewer = function.OnNewerQueue }
	first := h.start(function.StrategyAtOnce)
	h.awaitStep(first, 1)
	rules := *function.NewRollout(function.StrategyAtOnce)
	queue(&rules)
	all := h.submit(catalog.StartRollout{Function: "pay", Alias: "live", Version: 3, Rollout: rules}).Rollouts()
	second := all[len(all)-1].ID
	h.clock.pass(time.Minute)
	h.awaitEnd(first)
	r := h.awaitStep(second, 1)
	if r.From != 2 {
		t.Errorf("it rolls out from version %d, want 2", r.From)
	}
	h.clock.pass(time.Minute)
	if r = h.awaitEnd(second); r.State != function.RolloutSucceeded || h.live().Primary != 3 {
		t.Errorf("it is %s with live %+v, want version 3", r.State, h.live())
	}
}
