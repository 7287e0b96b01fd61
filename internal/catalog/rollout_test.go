package catalog

import (
	"encoding/json"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// rolled is a catalog with two versions of pay, of which the second is being rolled out.
func rolled(t *testing.T, log eventlog.Log, r function.Rollout) (*Catalog, *Rollout) {
	t.Helper()
	c, _ := start(t, log, nil)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"), on("b", "events", "x")), Aside: true})
	return c, begin(t, c, 2, r)
}

func begin(t *testing.T, c *Catalog, version int, r function.Rollout) *Rollout {
	t.Helper()
	return newest(submit(t, c, StartRollout{Function: "pay", Alias: "live", Version: version, Rollout: r}))
}

func newest(v *View) *Rollout {
	all := v.Rollouts()
	return all[len(all)-1]
}

func now(v *View) function.Alias { return v.functions["pay"].Aliases["live"] }

func TestARolloutMovesWeightsAndThenThePrimary(t *testing.T) {
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyCanary))
	want := func(state function.RolloutState, a function.Alias, triggers int) {
		t.Helper()
		v := c.View()
		if got := now(v); !reflect.DeepEqual(got, a) {
			t.Errorf("live = %+v, want %+v", got, a)
		}
		if got := v.RolloutByID("pay", r.ID); got.State != state {
			t.Errorf("the roll-out is %s, want %s", got.State, state)
		}
		if got := len(v.functions["pay"].Triggers); got != triggers {
			t.Errorf("%d triggers, want %d: they are the primary's", got, triggers)
		}
	}
	want(function.RolloutRunning, function.Alias{Name: "live", Primary: 1, Weights: map[int]int{2: 0}}, 2)
	if got := c.View().Wanted(); len(got) != 2 {
		t.Errorf("%d versions wanted, want both", len(got))
	}
	for step, weight := range []int{5, 25, 50, 100} {
		submit(t, c, StepRollout{Function: "pay", ID: r.ID, Step: step})
		want(function.RolloutRunning, function.Alias{Name: "live", Primary: 1, Weights: map[int]int{2: weight}}, 2)
	}
	if _, err := c.Submit(t.Context(), StepRollout{Function: "pay", ID: r.ID, Step: 4}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a step behind the last = %v, want a conflict", err)
	}
	submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutSucceeded})
	want(function.RolloutSucceeded, function.Alias{Name: "live", Primary: 2}, 3)
	if got := c.View().Wanted(); len(got) != 1 {
		t.Errorf("%d versions wanted, want the new one", len(got))
	}
	if _, err := c.Submit(t.Context(), EndRollout{Function: "pay", ID: r.ID, State: function.RolloutAborted}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the end of what is over = %v, want not found", err)
	}
}

func TestAFailedRolloutLeavesEverythingAsItWas(t *testing.T) {
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyAtOnce))
	before := c.View().functions["pay"].Triggers[1].UID
	submit(t, c, StepRollout{Function: "pay", ID: r.ID})
	facts := &function.RolloutFacts{New: function.RolloutFigures{Invocations: 10, Errors: 9}}
	v := submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutFailed, Gate: function.GateErrors, Reason: "9 of 10", Facts: facts})
	if got := now(v); got.Primary != 1 || got.Weights != nil {
		t.Errorf("live = %+v, want version 1 alone", got)
	}
	if got := v.functions["pay"].Triggers[1].UID; got != before {
		t.Errorf("the trigger is another one: %d, want %d", got, before)
	}
	end := v.RolloutByID("pay", r.ID).Ended
	if end == nil || end.Gate != function.GateErrors || end.Reason != "9 of 10" || !reflect.DeepEqual(end.Facts, facts) {
		t.Errorf("its end = %+v, want the gate, the reason and the facts", end)
	}
}

func TestAPausedRolloutTakesNoStep(t *testing.T) {
	var seconds atomic.Int64
	log := openLog(t, enginetest.Options{Now: func() time.Time { return time.Unix(1_800_000_000+seconds.Add(1), 0) }})
	c, r := rolled(t, log, *function.NewRollout(function.StrategyCanary))
	submit(t, c, StepRollout{Function: "pay", ID: r.ID})
	began := c.View().RolloutByID("pay", r.ID).Since
	submit(t, c, HoldRollout{Function: "pay", ID: r.ID, Paused: true})
	for _, ch := range []Change{StepRollout{Function: "pay", ID: r.ID, Step: 1}, HoldRollout{Function: "pay", ID: r.ID, Paused: true}} {
		if _, err := c.Submit(t.Context(), ch); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%T of a paused one = %v, want a conflict", ch, err)
		}
	}
	v := submit(t, c, HoldRollout{Function: "pay", ID: r.ID})
	if got := v.RolloutByID("pay", r.ID).Since; !got.After(began) {
		t.Errorf("the step began at %v, want it to begin anew after %v", got, began)
	}
	submit(t, c, StepRollout{Function: "pay", ID: r.ID, Step: 1})
}

func TestANewerRolloutSupersedesOrWaits(t *testing.T) {
	queue := *function.NewRollout(function.StrategyAtOnce)
	queue.OnNewer = function.OnNewerQueue
	c, first := rolled(t, newLog(t), queue) // there is none to wait for
	submit(t, c, StepRollout{Function: "pay", ID: first.ID})
	for range 3 {
		submit(t, c, Deploy{Version: version("pay"), Aside: true})
	}
	third, fourth := begin(t, c, 3, queue), begin(t, c, 4, queue)
	state := func(r *Rollout) function.RolloutState { return c.View().RolloutByID("pay", r.ID).State }
	if a, b, d := state(first), state(third), state(fourth); a != function.RolloutRunning || b != function.RolloutSuperseded || d != function.RolloutQueued {
		t.Errorf("states = %s, %s, %s; want the first to run and the newest alone to wait", a, b, d)
	}
	v := submit(t, c, EndRollout{Function: "pay", ID: first.ID, State: function.RolloutSucceeded})
	if got := v.RolloutByID("pay", fourth.ID); got.State != function.RolloutRunning || got.From != 2 || got.Began.IsZero() {
		t.Errorf("the one that waited = %+v, want it to run, from version 2", got)
	}
	if got := now(v); got.Primary != 2 || !reflect.DeepEqual(got.Weights, map[int]int{4: 0}) {
		t.Errorf("live = %+v, want version 2, with 4 to come", got)
	}
	fifth := begin(t, c, 5, *function.NewRollout(function.StrategyAtOnce))
	if a, b := state(fourth), state(fifth); a != function.RolloutSuperseded || b != function.RolloutRunning {
		t.Errorf("states = %s, %s; want the newer one to take the place of the other", a, b)
	}
	if got := now(c.View()); got.Primary != 2 || !reflect.DeepEqual(got.Weights, map[int]int{5: 0}) {
		t.Errorf("live = %+v, want version 2, with 5 to come", got)
	}
}

func TestWhatIsDoneByHandEndsARollout(t *testing.T) {
	for name, by := range map[string]struct {
		change Change
		want   function.RolloutState
	}{
		"a shift":     {Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 2}}, function.RolloutSuperseded},
		"a roll-back": {Shift{Function: "pay", Alias: function.Alias{Name: "live", Primary: 1}}, function.RolloutAborted},
		"a deploy":    {Deploy{Version: version("pay")}, function.RolloutSuperseded},
	} {
		c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyCanary))
		v := submit(t, c, by.change)
		if got := v.RolloutByID("pay", r.ID); got.State != by.want || got.Ended.Reason == "" {
			t.Errorf("after %s the roll-out is %s, want %s, with a reason", name, got.State, by.want)
		}
		if got := now(v); len(got.Weights) != 0 {
			t.Errorf("after %s live = %+v, want no weights", name, got)
		}
	}
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyCanary))
	v := submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "preview", Primary: 1}})
	if got := v.RolloutByID("pay", r.ID); got.Ended != nil {
		t.Errorf("a shift of another alias ended the roll-out: %+v", got.Ended)
	}
}

func TestAnAliasThatIsRemovedHasNoRollout(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	submit(t, c, Deploy{Version: version("pay")})
	submit(t, c, Deploy{Version: version("pay"), Aside: true})
	submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "preview", Primary: 1}})
	submit(t, c, StartRollout{Function: "pay", Alias: "preview", Version: 2, Rollout: *function.NewRollout(function.StrategyCanary)})
	v := submit(t, c, RemoveAlias{Function: "pay", Alias: "preview"})
	if got := newest(v); got.State != function.RolloutSuperseded {
		t.Errorf("the roll-out is %s, want superseded", got.State)
	}
}

func TestAnAliasGoesBackToBeforeItsRollout(t *testing.T) {
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyAtOnce))
	v := submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutSucceeded})
	if got, err := v.functions["pay"].Before("live"); err != nil || got != 1 {
		t.Errorf("Before = %d, %v, want version 1", got, err)
	}
}

func TestVersionsThatARolloutIsAboutAreKept(t *testing.T) {
	queue := *function.NewRollout(function.StrategyCanary)
	queue.OnNewer = function.OnNewerQueue
	c, _ := rolled(t, newLog(t), queue)
	submit(t, c, Deploy{Version: version("pay"), Aside: true})
	begin(t, c, 3, queue)
	last := version("pay")
	last.Spec.Keep = 1
	submit(t, c, Deploy{Version: version("pay"), Aside: true})
	v := submit(t, c, Deploy{Version: last, Aside: true})
	var numbers []int
	for _, version := range v.functions["pay"].Versions {
		numbers = append(numbers, version.Number)
	}
	if want := []int{1, 2, 3, 5}; !reflect.DeepEqual(numbers, want) {
		t.Errorf("versions %v, want %v: those of both roll-outs, and the new one", numbers, want)
	}
}

func TestTwoKeepersTakeAStepOnce(t *testing.T) {
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyCanary))
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := c.Submit(t.Context(), StepRollout{Function: "pay", ID: r.ID})
			results <- err
		}()
	}
	a, b := <-results, <-results
	if (a == nil) == (b == nil) {
		t.Errorf("two steps at a time = %v and %v, want one to lose", a, b)
	}
	if got := c.View().RolloutByID("pay", r.ID); got.Step != 1 || len(got.Taken) != 1 {
		t.Errorf("step %d after %d, want one", got.Step, len(got.Taken))
	}
}

func TestRolloutsSurviveRestartsAndRedelivery(t *testing.T) {
	log, file := newLog(t), &memory{}
	c, stop := start(t, log, file)
	submit(t, c, Deploy{Version: version("pay")})
	submit(t, c, Deploy{Version: version("pay"), Aside: true})
	r := begin(t, c, 2, *function.NewRollout(function.StrategyCanary))
	submit(t, c, StepRollout{Function: "pay", ID: r.ID, Facts: &function.RolloutFacts{New: function.RolloutFigures{Invocations: 1}}})
	want, err := json.Marshal(c.View().functions["pay"])
	if err != nil {
		t.Fatal(err)
	}
	stop()
	for what, snapshot := range map[string]Store{"the snapshot": file, "the log": nil} {
		again, _ := start(t, log, snapshot)
		if got, _ := json.Marshal(again.View().functions["pay"]); string(got) != string(want) {
			t.Errorf("from %s\n%s\nwant\n%s", what, got, want)
		}
	}
	rs, err := log.Read(t.Context(), control, 0, eventlog.ReadOptions{NoWait: true})
	if err != nil {
		t.Fatal(err)
	}
	s := newState()
	for range 2 {
		s.foldAll(rs, c.logger)
	}
	if got, _ := json.Marshal(s.functions["pay"]); string(got) != string(want) {
		t.Errorf("delivered twice\n%s\nwant\n%s", got, want)
	}
}

func TestOldRolloutsAreForgotten(t *testing.T) {
	c, r := rolled(t, newLog(t), *function.NewRollout(function.StrategyAtOnce))
	for range keptRollouts + 2 {
		submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutAborted})
		r = begin(t, c, 2, *function.NewRollout(function.StrategyAtOnce))
	}
	if got := len(c.View().Rollouts()); got != keptRollouts+1 {
		t.Errorf("%d roll-outs are known, want %d and the one under way", got, keptRollouts)
	}
}

func TestRolloutsThatCannotStart(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	submit(t, c, Deploy{Version: version("pay")})
	for name, s := range map[string]StartRollout{
		"no function":     {Function: "mail", Alias: "live", Version: 1},
		"no version":      {Function: "pay", Alias: "live", Version: 2},
		"no alias":        {Function: "pay", Alias: "preview", Version: 1},
		"there it is now": {Function: "pay", Alias: "live", Version: 1},
	} {
		_, err := c.Submit(t.Context(), s)
		if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Conflict {
			t.Errorf("%s: %v, want not found or a conflict", name, err)
		}
	}
	if _, err := c.Submit(t.Context(), Deploy{Version: version("mail"), Aside: true}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a first version aside = %v, want a conflict", err)
	}
}

func TestWhatIsPreparedForARollout(t *testing.T) {
	for strategy, want := range map[function.Strategy][][2]int{
		function.StrategyCanary:    {{2, 0}},
		function.StrategyBlueGreen: {{2, 1}, {1, 1}},
	} {
		c, r := rolled(t, newLog(t), *function.NewRollout(strategy))
		var got [][2]int
		for _, p := range c.View().Prepared() {
			pair := [2]int{p.Version.Number, 0}
			if p.Like != nil {
				pair[1] = p.Like.Number
			}
			got = append(got, pair)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: prepared %v, want %v", strategy, got, want)
		}
		v := submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutFailed})
		if got := v.Prepared(); got != nil {
			t.Errorf("%s: prepared after the end: %v", strategy, got)
		}
	}
}

func TestTheEventsOfARollout(t *testing.T) {
	log := newLog(t)
	c, r := rolled(t, log, *function.NewRollout(function.StrategyAtOnce))
	submit(t, c, StepRollout{Function: "pay", ID: r.ID})
	submit(t, c, HoldRollout{Function: "pay", ID: r.ID, Paused: true})
	submit(t, c, HoldRollout{Function: "pay", ID: r.ID})
	submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: function.RolloutFailed, Gate: function.GateStart})
	rs, err := log.Read(t.Context(), control, 2, eventlog.ReadOptions{NoWait: true})
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, rec := range rs {
		e, err := eventlog.ToEvent(rec)
		if err != nil {
			t.Fatal(err)
		}
		var p payload
		if err := json.Unmarshal(e.Data, &p); err != nil || p.Alias == nil || p.Rollout == nil {
			t.Errorf("%s says %s, %v; want the alias and the roll-out", e.Type, e.Data, err)
		}
		types = append(types, e.Type)
	}
	want := []string{event.TypeRolloutStarted, event.TypeRolloutStepped, event.TypeRolloutPaused, event.TypeRolloutResumed, event.TypeRolloutFailed}
	if !reflect.DeepEqual(types, want) {
		t.Errorf("events = %v, want %v", types, want)
	}
}
