package catalog

import (
	"reflect"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func to(alias string, primary int, weights ...map[int]int) Shift {
	a := function.Alias{Name: alias, Primary: primary}
	if len(weights) == 1 {
		a.Weights = weights[0]
	}
	return Shift{Function: "pay", Alias: a}
}

func before(t *testing.T, v *View, alias string) int {
	t.Helper()
	f, err := v.Function("pay")
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.Before(alias)
	if fault.KindOf(err) == fault.Conflict {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnAliasKnowsWhatItWasAtBefore(t *testing.T) {
	log := newLog(t)
	file := &memory{}
	c, stop := start(t, log, file)
	v := submit(t, c, Deploy{Version: version("pay")})
	for _, step := range []struct {
		change Change
		want   int // where live goes back to; 0 = nowhere
	}{
		{to("live", 1), 0},
		{Deploy{Version: version("pay")}, 1},                   // live at 2
		{Deploy{Version: version("pay"), Alias: "preview"}, 1}, // 3 was never live
		{Deploy{Version: version("pay")}, 2},                   // live at 4
		{to("live", 4, map[int]int{3: 10}), 4},                 // a canary goes back to its primary
		{to("live", 4), 2},                                     // and leaves no trace
		{to("live", 4, map[int]int{3: 100}), 4},                // not even of all
		{to("live", 3), 4},                                     // until it is the primary
		{to("live", 4), 2},                                     // back, and what comes before that
		{to("live", 2), 1},                                     //
		{to("live", 4), 2},                                     // forward again
		{to("live", 2), 1},                                     // to an old version, as a deploy of old content is: never forward from there
		{to("live", 4), 2},                                     //
		{to("live", 3), 4},                                     // back to what live had only been at before it went back
		{Pause{"pay", function.InvokeTrigger, true}, 4},        // other changes have nothing to do with it
		{Shift{Function: "pay", Alias: function.Alias{Name: "x", Primary: 1}}, 4},
	} {
		v = submit(t, c, step.change)
		if got := before(t, v, "live"); got != step.want {
			t.Errorf("after %+v live goes back to %d, want %d", step.change, got, step.want)
		}
	}
	if got := before(t, v, "preview"); got != 0 {
		t.Errorf("preview goes back to %d, want nowhere", got)
	}
	f, _ := v.Function("pay")
	want := f.Trails
	stop() // which writes the snapshot
	again, _ := start(t, log, file)
	if f, _ := again.View().Function("pay"); !reflect.DeepEqual(f.Trails, want) {
		t.Errorf("trails from the snapshot = %v, want %v", f.Trails, want)
	}
	fresh, _ := start(t, log, nil)
	if f, _ := fresh.View().Function("pay"); !reflect.DeepEqual(f.Trails, want) {
		t.Errorf("trails from the log = %v, want %v", f.Trails, want)
	}
}

func TestATrailIsBounded(t *testing.T) {
	f := &Function{Aliases: map[string]function.Alias{}}
	for n := range 3 * maxTrail {
		a := function.Alias{Name: "live", Primary: n + 1}
		f.trace(a)
		f.Aliases["live"] = a
	}
	if n, err := f.Before("live"); err != nil || n != 3*maxTrail-1 || len(f.Trails["live"]) != maxTrail {
		t.Errorf("Before = %d, %v, with a trail of %d; want %d and %d", n, err, len(f.Trails["live"]), 3*maxTrail-1, maxTrail)
	}
}

func TestAliasesAreRemoved(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	first := submit(t, c, to("preview/x", 1))
	v := submit(t, c, RemoveAlias{Function: "pay", Alias: "preview/x"})
	if _, err := v.Alias("pay", "preview/x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a removed alias: %v, want not found", err)
	}
	if _, err := first.Alias("pay", "preview/x"); err != nil {
		t.Errorf("the view before has lost it too: %v", err)
	}
	shifted := submit(t, c, to("live", 1)).functions["pay"].Born["live"]
	again := submit(t, c, to("preview/x", 1)).functions["pay"].Born
	if was := first.functions["pay"].Born; v.functions["pay"].Born["preview/x"] != 0 || was["preview/x"] == 0 || again["preview/x"] <= was["preview/x"] || shifted != was["live"] {
		t.Errorf("aliases were born at %v and %v", was, again)
	}
	submit(t, c, RemoveAlias{Function: "pay", Alias: "preview/x"})
	if got, want := matching(v, "events", "x"), []string{"pay/a"}; !reflect.DeepEqual(got, want) {
		t.Errorf("matching = %v, want %v", got, want)
	}
	for name, tc := range map[string]struct {
		change Change
		kind   fault.Kind
	}{
		"twice":                {RemoveAlias{Function: "pay", Alias: "preview/x"}, fault.NotFound},
		"live":                 {RemoveAlias{Function: "pay", Alias: "live"}, fault.Invalid},
		"of nothing":           {RemoveAlias{Function: "pya", Alias: "preview/x"}, fault.NotFound},
		"bad name":             {to("Live", 1), fault.Invalid},
		"deploy to a bad name": {Deploy{Version: version("pay"), Alias: "7"}, fault.Invalid},
	} {
		if _, err := c.Submit(t.Context(), tc.change); fault.KindOf(err) != tc.kind {
			t.Errorf("%s: error = %v, want kind %v", name, err, tc.kind)
		}
	}
}

func TestAnAliasIsNoDirectoryOfAnother(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	submit(t, c, Deploy{Version: version("pay")})
	submit(t, c, to("preview/x", 1))
	for _, change := range []Change{to("preview", 1), to("preview/x/y", 1), Deploy{Version: version("pay"), Alias: "preview"}} {
		if _, err := c.Submit(t.Context(), change); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%+v: %v, want conflict", change, err)
		}
	}
	submit(t, c, to("preview/y", 1))
}

func TestAShiftThatWasDecidedUponAnOlderStateIsRefused(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	f, _ := submit(t, c, Deploy{Version: version("pay")}).Function("pay")
	seen := f.Last
	shift := to("live", 1)
	shift.Expects = &seen
	submit(t, c, shift)
	if _, err := c.Submit(t.Context(), shift); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the same shift again: %v, want conflict", err)
	}
	if _, err := c.Submit(t.Context(), RemoveAlias{Function: "pay", Alias: "live", Expects: &seen}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("remove live: %v, want invalid", err)
	}
	submit(t, c, to("preview", 1))
	if _, err := c.Submit(t.Context(), RemoveAlias{Function: "pay", Alias: "preview", Expects: &seen}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a removal that was decided upon an older state: %v, want conflict", err)
	}
}

func numbers(t *testing.T, v *View) []int {
	t.Helper()
	f, err := v.Function("pay")
	if err != nil {
		t.Fatal(err)
	}
	var ns []int
	for _, v := range f.Versions {
		ns = append(ns, v.Number)
	}
	return ns
}

func TestADeployLetsOldVersionsGoThatNothingNeeds(t *testing.T) {
	log := newLog(t)
	file := &memory{}
	c, stop := start(t, log, file)
	keep := func(n int) Deploy {
		v := version("pay", on("a", "events", "x"))
		v.Spec.Keep = n
		return Deploy{Version: v}
	}
	want := func(what string, v *View, numbered ...int) {
		t.Helper()
		if got := numbers(t, v); !slices.Equal(got, numbered) {
			t.Errorf("%s: versions %v, want %v", what, got, numbered)
		}
	}
	for range 4 {
		submit(t, c, keep(0))
	}
	want("within the default", c.View(), 1, 2, 3, 4)
	want("keep: 3", submit(t, c, keep(3)), 3, 4, 5)
	submit(t, c, to("preview", 3))
	want("an alias needs one", submit(t, c, keep(2)), 3, 5, 6)
	want("what an alias goes back to is needed", submit(t, c, keep(1)), 3, 6, 7)
	submit(t, c, to("live", 7, map[int]int{6: 10}))
	submit(t, c, RemoveAlias{Function: "pay", Alias: "preview"})
	d := keep(1)
	d.Alias = "other"
	want("a weight is needed, a removed alias's is not", submit(t, c, d), 6, 7, 8)
	submit(t, c, to("live", 8))
	d = keep(1)
	d.Needed = func(n int) bool { return n == 6 }
	want("who is asked needs one", submit(t, c, d), 6, 8, 9)
	want("and no longer", submit(t, c, keep(1)), 8, 9, 10)
	stop()
	again, _ := start(t, log, file)
	fresh, _ := start(t, log, nil)
	if got, want := numbers(t, again.View()), numbers(t, fresh.View()); !slices.Equal(got, want) {
		t.Errorf("versions from the snapshot = %v, from the log = %v", got, want)
	}
}

func TestAReplayNeedsItsVersion(t *testing.T) {
	log := newLog(t)
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicReplays, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	c, _ := start(t, log, nil)
	v := version("pay", on("a", "events", "x"))
	v.Spec.Keep = 1
	for range 2 {
		submit(t, c, Deploy{Version: v})
	}
	submit(t, c, StartReplay{Replay: function.Replay{Name: "again", Function: "pay", Trigger: "a", Topic: "events", Version: 1, Output: function.ReplayCapture}})
	for range 3 {
		submit(t, c, Deploy{Version: v})
	}
	if got, want := numbers(t, c.View()), []int{1, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
	submit(t, c, EndReplay{Name: "again", State: function.ReplayCancelled})
	if got, want := numbers(t, submit(t, c, Deploy{Version: v})), []int{5, 6}; !slices.Equal(got, want) {
		t.Errorf("when the replay is over: versions %v, want %v", got, want)
	}
}

func TestATrailForgetsWhatIsGone(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	v := version("pay")
	v.Spec.Keep = 2
	for range 4 {
		submit(t, c, Deploy{Version: v})
	}
	if got := before(t, c.View(), "live"); got != 3 {
		t.Errorf("live goes back to %d, want 3", got)
	}
	if got := before(t, submit(t, c, to("live", 3)), "live"); got != 0 {
		t.Errorf("from there it goes back to %d, which was let go; want nowhere", got)
	}
}

func TestNothingIsGoneFromAFunctionWithoutVersions(t *testing.T) {
	if (&Function{}).Gone(1) {
		t.Error("version 1 was there and is gone, want that it is still to come")
	}
}
