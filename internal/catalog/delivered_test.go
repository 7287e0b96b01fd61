package catalog

import (
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAnAliasKnowsWhoseDeployMovedItLast(t *testing.T) {
	log, file := newLog(t), &memory{}
	c, stop := start(t, log, file)
	from := func(repository string) *function.Origin {
		return &function.Origin{Kind: function.OriginGit, Repository: repository}
	}
	deploy := func(o *function.Origin, aside bool) Deploy {
		v := version("pay")
		v.Origin = o
		return Deploy{Version: v, Aside: aside}
	}
	want := func(after, repository string, kind function.OriginKind) {
		t.Helper()
		f, err := c.View().Function("pay")
		if err != nil {
			t.Fatal(err)
		}
		if by := f.Delivered["live"]; by == nil || by.Repository != repository || by.Kind != kind {
			t.Errorf("%s: live is delivered by %+v, want %s %q", after, by, kind, repository)
		}
	}
	submit(t, c, deploy(from("shop"), false))
	want("a push", "shop", function.OriginGit)
	submit(t, c, deploy(&function.Origin{Kind: function.OriginImage, Repository: "fn/pay"}, false))
	want("a push of an image", "shop", function.OriginGit)
	submit(t, c, deploy(nil, false))
	want("a deploy by hand", "", function.OriginCLI)
	back := to("live", 1)
	submit(t, c, back)
	want("a shift", "", function.OriginCLI)
	back.Alias.Primary, back.Deliverer = 2, from("other")
	submit(t, c, back)
	want("a deploy of what is there", "other", function.OriginGit)

	roll := func(state function.RolloutState) {
		t.Helper()
		r := newest(submit(t, c, StartRollout{Function: "pay", Alias: "live", Version: 4, Deliverer: from("shop"), Rollout: *function.NewRollout(function.StrategyCanary)}))
		want("the start of a roll-out", "other", function.OriginGit)
		submit(t, c, EndRollout{Function: "pay", ID: r.ID, State: state})
	}
	submit(t, c, deploy(from("shop"), true))
	want("a version aside", "other", function.OriginGit)
	roll(function.RolloutFailed)
	want("a roll-out that failed", "other", function.OriginGit)
	roll(function.RolloutSucceeded)
	want("a roll-out that succeeded", "shop", function.OriginGit)

	stop()
	c, _ = start(t, log, file)
	want("a start from a snapshot", "shop", function.OriginGit)
	c, _ = start(t, log, nil)
	want("a start from the log", "shop", function.OriginGit)
	twice := newState()
	var records []eventlog.Record
	if _, err := eventlog.ReadAll(t.Context(), log, control, func(r *eventlog.Record) error {
		records = append(records, *r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	twice.foldAll(append(records, records...), c.logger)
	if by := twice.functions["pay"].Delivered["live"]; by == nil || by.Repository != "shop" {
		t.Errorf("each event delivered twice: live is delivered by %+v, want shop", by)
	}
	submit(t, c, to("next", 1))
	submit(t, c, Shift{Function: "pay", Alias: function.Alias{Name: "next", Primary: 2}, Deliverer: from("other")})
	f, _ := submit(t, c, RemoveAlias{Function: "pay", Alias: "next"}).Function("pay")
	if by := f.Delivered["next"]; by != nil {
		t.Errorf("an alias that is gone is delivered by %+v", by)
	}
}
