package deliver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// told are copies of one kind, as a node tells of them.
type told struct {
	count   int
	kind    string
	live    time.Duration // 0 = a millisecond
	shadow  time.Duration
	failing bool // both
}

func (h *house) copied(rollout int64, all ...told) {
	h.Helper()
	var records []eventlog.Record
	for _, one := range all {
		for n := range one.count {
			run := function.ShadowRun{
				Rollout: rollout, Function: "pay", Run: fmt.Sprint("run-", n), Kind: one.kind, Event: function.EventRef{Topic: "events", ID: event.NewID()},
				Live:   function.ShadowSide{Version: 1, Outcome: function.Succeeded, Failed: one.failing || one.kind == function.ReplayNewlyPassing, Duration: function.Duration(max(one.live, time.Millisecond))},
				Shadow: function.ShadowSide{Version: 2, Outcome: function.Succeeded, Failed: one.failing || one.kind == function.ReplayNewlyFailing, Duration: function.Duration(max(one.shadow, time.Millisecond))},
			}
			if one.kind != "" {
				for i := range 8 {
					run.Changes = append(run.Changes, function.ReplayChange{Path: fmt.Sprint("result.", i), Before: json.RawMessage(`1`), After: json.RawMessage(`"` + strings.Repeat("x", 300) + `"`)})
				}
			}
			records = append(records, record(h.T, function.TopicRuns, event.TypeShadowFinished, "pay", run))
		}
	}
	if _, err := h.log.Append(h.Context(), records); err != nil {
		h.Fatal(err)
	}
}

func (h *house) dropped(rollout, n int64) {
	h.Helper()
	d := function.ShadowDropped{Rollout: rollout, Function: "pay", Dropped: n}
	if _, err := h.log.Append(h.Context(), []eventlog.Record{record(h.T, function.TopicRuns, event.TypeShadowDropped, "pay", d)}); err != nil {
		h.Fatal(err)
	}
}

func TestAShadowIsJudgedBeforeAnyTrafficMoves(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyShadow)
	r := h.awaitStep(id, 1)
	if live := h.live(); !r.Shadowing() || live.Primary != 1 || live.Shared() || live.Weights[2] != 0 {
		t.Fatalf("the first step is %+v with live %+v, want copies and no traffic", r, live)
	}
	h.serve(traffic{version: 1, count: 300}) // which is not what a shadow is judged by
	h.copied(id, told{count: 199}, told{count: 1, kind: function.ReplayDifferent}, told{count: 50, kind: function.ReplayNewlyPassing})
	h.copied(id+1000, told{count: 500, kind: function.ReplayNewlyFailing}) // another roll-out's
	h.dropped(id, 7)
	h.clock.pass(r.Hold(1))
	r = h.awaitStep(id, 2)
	f := r.Taken[1].Facts
	if r.Ended != nil || f.Shadow == nil || f.Shadow.Compared != 250 || f.Shadow.Different != 1 || f.Shadow.NewlyPassing != 50 || f.Shadow.Dropped != 7 || f.New.Invocations != 250 || f.Old.Errors != 50 {
		t.Fatalf("the copies came to %+v of %+v, ended %+v", f.Shadow, f, r.Ended)
	}
	if live := h.live(); live.Weights[2] != 100 {
		t.Errorf("live = %+v, want all of the traffic at version 2", live)
	}
	h.serve(traffic{version: 2, count: 30})
	h.clock.pass(r.Hold(2))
	if r = h.awaitEnd(id); r.State != function.RolloutSucceeded || r.Ended.Facts.Shadow != nil || r.Ended.Facts.New.Invocations != 30 || !r.Ended.Facts.Before || r.Ended.Facts.Old.Invocations != 300 {
		t.Errorf("it is %s by %+v, want succeeded, by its traffic beside what the old version had before", r.State, r.Ended.Facts)
	}
}

func TestAShadowThatDiffersMovesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		copies []told
		gate   function.Gate
		says   string
	}{
		"differences": {[]told{{count: 94}, {count: 6, kind: function.ReplayDifferent}}, function.GateDifferences, "6 of 100 copies came to something else (6.0 %), and 1% may"},
		"new failures": {[]told{{count: 98}, {count: 2, kind: function.ReplayNewlyFailing}, {count: 4, kind: function.ReplayDifferent}}, function.GateDifferences,
			"2 of them fail where the old version does not"},
		"many failures": {[]told{{count: 10}, {count: 10, kind: function.ReplayNewlyFailing}}, function.GateErrors, "10 of 20 invocations failed"},
		"slower":        {[]told{{count: 100, live: 50 * time.Millisecond, shadow: 200 * time.Millisecond}}, function.GateLatency, "took up to 200ms"},
		"slower and something else": {[]told{{count: 70, live: 50 * time.Millisecond, shadow: 200 * time.Millisecond}, {count: 30, kind: function.ReplayDifferent, shadow: 200 * time.Millisecond}},
			function.GateDifferences, "30 of 100 copies came to something else"},
		"slower, and few are something else": {[]told{{count: 98, live: 50 * time.Millisecond, shadow: 200 * time.Millisecond}, {count: 2, kind: function.ReplayDifferent, shadow: 200 * time.Millisecond}},
			function.GateDifferences, "2 of 100 copies came to something else"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.keep()
			id := h.start(function.StrategyShadow)
			h.awaitStep(id, 1)
			h.copied(id, test.copies...)
			r := h.awaitEnd(id) // without waiting for the end of the step
			if r.State != function.RolloutFailed || r.Ended.Gate != test.gate || !strings.Contains(r.Ended.Reason, test.says) || r.Step != 1 {
				t.Fatalf("it is %s in step %d by %+v, want failed by %s with %q", r.State, r.Step, r.Ended, test.gate, test.says)
			}
			if live := h.live(); live.Primary != 1 || live.Weights != nil {
				t.Errorf("live = %+v, want version 1 alone", live)
			}
		})
	}
}

func TestTheSlowestOfAFewIsNoP95(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyShadow, func(r *function.Rollout) { r.Gates.Sample = 5 })
	r := h.awaitStep(id, 1)
	h.copied(id, told{count: 7}, told{count: 1, shadow: time.Second})
	h.clock.pass(r.Hold(1))
	if r = h.awaitStep(id, 2); r.Ended != nil || r.Taken[1].Facts.New.P95 != 0 {
		t.Errorf("it ended by %+v with %+v, want no p95 of 8", r.Ended, r.Taken[1].Facts)
	}
}

func TestOneOfFewThatDiffersWaitsForTheEnd(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyShadow)
	r := h.awaitStep(id, 1)
	h.copied(id, told{count: 20}, told{count: 1, kind: function.ReplayDifferent})
	h.clock.pass(r.Hold(1) / 2)
	h.copied(id, told{count: 79})
	h.clock.pass(r.Hold(1) / 2)
	if r = h.awaitStep(id, 2); r.Ended != nil {
		t.Errorf("it has ended by %+v, want 1 of 100 to be what may differ", r.Ended)
	}
}

func TestTooFewCopies(t *testing.T) {
	for _, test := range []struct {
		rule  function.TooFew
		state function.RolloutState
	}{{"", function.RolloutFailed}, {function.TooFewFail, function.RolloutFailed}, {function.TooFewPass, function.RolloutRunning}, {function.TooFewWait, function.RolloutRunning}} {
		t.Run(string(test.rule), func(t *testing.T) {
			h := newHouse(t)
			h.keep()
			id := h.start(function.StrategyShadow, func(r *function.Rollout) { r.Gates.TooFew = test.rule })
			r := h.awaitStep(id, 1)
			h.copied(id, told{count: 3, kind: function.ReplayNewlyFailing})
			h.clock.pass(r.Hold(1))
			if test.rule == function.TooFewWait {
				h.clock.pass(time.Hour)
				h.copied(id, told{count: 1000})
			}
			r = h.await(id, func(r *catalog.Rollout) bool { return r.Ended != nil || r.Step == 2 })
			if r.State != test.state {
				t.Fatalf("it is %s by %+v, want %s", r.State, r.Ended, test.state)
			}
			if e := r.Ended; e != nil && (e.Gate != function.GateSample || !strings.HasPrefix(e.Reason, "too few to judge: 3 of 20 copies in ")) {
				t.Errorf("it ended by %+v, want too few to judge", e)
			}
		})
	}
}

func TestTooFewInvocationsFailWhereTheyHaveTo(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyCanary, func(r *function.Rollout) { r.Gates.TooFew = function.TooFewFail })
	r := h.awaitStep(id, 1)
	h.serve(traffic{version: 1, count: 100}, traffic{version: 2, count: 5})
	h.clock.pass(r.Hold(1))
	if r = h.awaitEnd(id); r.Ended.Gate != function.GateSample || !strings.HasPrefix(r.Ended.Reason, "too few to judge: 5 of 20 invocations in ") || h.live().Weights != nil {
		t.Errorf("it is %s by %+v with live %+v, want failed", r.State, r.Ended, h.live())
	}
}

// What is kept of differences stands in the control topic for ever.
func TestShownDifferencesAreBounded(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyShadow)
	h.awaitStep(id, 1)
	h.copied(id, told{count: 100, kind: function.ReplayDifferent})
	f := h.awaitEnd(id).Ended.Facts
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Shadow.Examples); n != shownExamples || len(f.Shadow.Examples[0].Changes) != shownChanges || len(text) > shownBytes+1024 {
		t.Errorf("%d examples with %d changes in %d bytes, want %d with %d, in %d at most", n, len(f.Shadow.Examples[0].Changes), len(text), shownExamples, shownChanges, shownBytes+1024)
	}
}

// A keeper that ends in the middle leaves the rest to the next one, which reads what was told before.
func TestTheNextOwnerKnowsTheCopies(t *testing.T) {
	h := newHouse(t)
	stop := h.keep()
	id := h.start(function.StrategyShadow)
	r := h.awaitStep(id, 1)
	h.copied(id, told{count: 15})
	stop()
	h.clock.pass(time.Second)
	h.keep()
	h.copied(id, told{count: 15})
	h.clock.pass(r.Hold(1))
	if r = h.awaitStep(id, 2); r.Ended != nil || r.Taken[1].Facts.Shadow.Compared != 30 {
		t.Errorf("it ended by %+v after %d steps, want all 30 to count", r.Ended, r.Step)
	}
}

// After a pause the step begins anew, and with it what it is judged by.
func TestAResumedShadowBeginsAnew(t *testing.T) {
	h := newHouse(t)
	h.keep()
	id := h.start(function.StrategyShadow)
	r := h.awaitStep(id, 1)
	h.copied(id, told{count: 100}, told{count: 1, kind: function.ReplayDifferent})
	h.submit(catalog.HoldRollout{Function: "pay", ID: id, Paused: true})
	h.clock.pass(r.Hold(1) / 2)
	h.awaitMeasured(id, h.submit(catalog.HoldRollout{Function: "pay", ID: id}).RolloutByID("pay", id).Since)
	h.copied(id, told{count: 30})
	h.clock.pass(r.Hold(1))
	if r = h.awaitStep(id, 2); r.Ended != nil || r.Taken[1].Facts.Shadow.Compared != 30 {
		t.Errorf("it ended by %+v with %+v, want the 30 since the pause", r.Ended, r.Taken)
	}
}
