package api

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestDeployMakesVersions(t *testing.T) {
	n := newNode(t)
	n.emit(function.TopicEvents, fact("order.validated", "a", 1), fact("order.validated", "b", 1))
	for _, c := range []struct {
		name, manifest, content string
		version                 int
		created                 bool
	}{
		{"first", payManifest, "one", 1, true},
		{"same again", payManifest, "one", 1, false},
		{"other code", payManifest, "two", 2, true},
		{"other settings", strings.Replace(payManifest, "code: .", "code: .\ntimeout: 9s", 1), "two", 3, true},
		{"back to the first", payManifest, "one", 1, false},
		{"which is live now", payManifest, "one", 1, false},
	} {
		if d := n.deploy(c.manifest, c.content); d.Version != c.version || d.Created != c.created || d.Function != "pay" || d.Alias != "live" {
			t.Errorf("%s: Deploy = %+v, want version %d created %v", c.name, d, c.version, c.created)
		}
	}
	f, err := n.client.Function(t.Context(), "pay")
	ok(t, err)
	if len(f.Versions) != 3 || f.Versions[0].Number != 3 || len(f.Aliases) != 1 || f.Aliases[0].Primary != 1 {
		t.Errorf("Function = %d versions, aliases %+v, want 3 versions and live at 1", len(f.Versions), f.Aliases)
	}
	trigger, err := n.catalog.View().Trigger("pay", "on-order")
	ok(t, err)
	var waiting int64
	for _, start := range trigger.Start {
		waiting += start
	}
	if waiting != 2 {
		t.Errorf("the trigger starts at %v, want behind the 2 events that were there before", trigger.Start)
	}
}

func TestDeployToAnAlias(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	d, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, payManifest), Code: n.upload("two"), Alias: "canary"})
	if err != nil || d.Version != 2 || d.Alias != "canary" {
		t.Fatalf("Deploy = %+v, %v, want version 2 of canary", d, err)
	}
	f, err := n.client.Function(t.Context(), "pay")
	ok(t, err)
	if len(f.Aliases) != 2 || f.Aliases[0].Primary != 2 || f.Aliases[1].Primary != 1 {
		t.Errorf("aliases = %+v, want canary at 2 and live at 1", f.Aliases)
	}
}

func TestAVersionKeepsWhereItCameFrom(t *testing.T) {
	n := newNode(t)
	first := &function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: "0123abcd", Branch: "main", Author: "Jane <jane@example.com>"}
	again := *first
	again.Commit = "4567"
	for _, o := range []*function.Origin{first, &again} {
		_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, payManifest), Code: n.upload("one"), Origin: o})
		ok(t, err)
	}
	f, err := n.client.Function(t.Context(), "pay")
	ok(t, err)
	if len(f.Versions) != 1 || f.Versions[0].Origin == nil || *f.Versions[0].Origin != *first {
		t.Errorf("versions = %+v, want one, that came from the first commit", f.Versions)
	}
	again.Kind = "ftp"
	_, err = n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, payManifest), Code: n.upload("two"), Origin: &again})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "origin.kind") {
		t.Errorf("Deploy with an origin of no kind = %v, want it refused", err)
	}
}

func TestDeployWarnsWhereNothingIsFenced(t *testing.T) {
	n := newNode(t)
	n.script.isolated = false
	if d := n.deploy(payManifest, "one"); len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "without isolation") {
		t.Errorf("warnings = %q, want that it runs without isolation", d.Warnings)
	}
}

func TestStrictIsRefusedWhereTheFenceIsNotWhole(t *testing.T) {
	n := newNode(t)
	strict := payManifest + "isolation: strict\n"
	n.deploy(strict, "one")
	n.script.lacks = []string{"a limit on memory"}
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, strict), Code: n.upload("two")})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "a limit on memory") || fault.HintOf(err) == "" {
		t.Errorf("Deploy = %v, hint %q; want Unavailable, what is lacking and the next step", err, fault.HintOf(err))
	}
	if f, err := n.client.Function(t.Context(), "pay"); err != nil || len(f.Versions) != 1 || !slices.Equal(f.Lacks, n.script.lacks) {
		t.Errorf("Function = %+v, %v; want one version, and what its fence lacks", f, err)
	}
	n.deploy(payManifest, "two")
}

func TestRunnerOfAFunction(t *testing.T) {
	n := newNode(t)
	n.script.isolated = false
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, payManifest+"runner: oci:runc\n"), Code: n.upload("one")})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "asks for runner: oci:runc") || fault.HintOf(err) != "install it" {
		t.Errorf("Deploy with a runner that is not here = %v, hint %q; want Unavailable that names it, and the next step", err, fault.HintOf(err))
	}
	if d := n.deploy(payManifest+"runner: oci:crun\nisolation: available\n", "one"); len(d.Warnings) != 0 {
		t.Errorf("warnings = %q, want none: its runner isolates", d.Warnings)
	}
	if f, err := n.client.Function(t.Context(), "pay"); err != nil || !f.Isolated || f.Versions[0].Spec.Runner != "oci:crun" {
		t.Errorf("Function = %+v, %v; want that its own runner isolates it", f, err)
	}
}

func TestDeployTellsWhatWaitsForATriggerThatGoesAway(t *testing.T) {
	const warning = `trigger "on-order" goes away with 7 events waiting; they end as discarded`
	for _, c := range []struct {
		name, manifest, alias, want string
	}{
		{"the same triggers", payManifest + "timeout: 9s\n", "", ""},
		{"renamed", strings.Replace(payManifest, "name: on-order", "name: by-order", 1), "", warning},
		{"left out", payManifest[:strings.Index(payManifest, "triggers:")], "", warning},
		{"another topic", strings.Replace(payManifest, "topic: events, filter", "topic: orders, filter", 1), "", warning},
		{"an alias that triggers do not follow", strings.Replace(payManifest, "name: on-order", "name: by-order", 1), "canary", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "orders"})
			ok(t, err)
			n.deploy(payManifest, "one")
			ok(t, n.client.PauseTrigger(t.Context(), "pay", "on-order"))
			d, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, c.manifest), Code: n.upload("one"), Alias: c.alias})
			ok(t, err)
			if got := strings.Join(d.Warnings, "; "); got != c.want {
				t.Errorf("warnings = %q, want %q", got, c.want)
			}
		})
	}
}

func TestDeployRefusedChangesNothing(t *testing.T) {
	n := newNode(t)
	n.deploy(strings.ReplaceAll(payManifest, "name: pay", "name: other"), "one")
	code := n.upload("two")
	good := func() wire.DeployRequest {
		return wire.DeployRequest{Spec: spec(t, strings.Replace(payManifest, "/pay/{id}", "/mine", 1)), Code: code}
	}
	gone := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct {
		name          string
		change        func(*wire.DeployRequest)
		kind          fault.Kind
		message, hint string
	}{
		{"no such code", func(d *wire.DeployRequest) { d.Code = gone }, fault.NotFound, "the code " + gone + ` of function "pay" is not here`, "PUT /v1/code/"},
		{"bad digest", func(d *wire.DeployRequest) { d.Code = "abc" }, fault.Invalid, `"abc" is not a digest`, "64 hexadecimal"},
		{"bad alias", func(d *wire.DeployRequest) { d.Alias = "7" }, fault.Invalid, `"7" is no name for an alias`, "a letter first"},
		{"unknown topic", func(d *wire.DeployRequest) { d.Spec.Triggers[0].Topic = "evnts" }, fault.NotFound, `function "pay", trigger "on-order": there is no topic "evnts"`, "did you mean events?"},
		{"unknown emit topic", func(d *wire.DeployRequest) { d.Spec.Triggers[0].Emit.Topic = "event" }, fault.NotFound, `there is no topic "event"`, "did you mean events?"},
		{"system emit topic", func(d *wire.DeployRequest) { d.Spec.Triggers[0].Emit.Topic = function.TopicRuns }, fault.Invalid, "written by dalamb alone", ""},
		{"its own logs", func(d *wire.DeployRequest) { d.Spec.Triggers[0].Topic = function.TopicLogs }, fault.Invalid, "cannot listen to logs", ""},
		{"bad name", func(d *wire.DeployRequest) { d.Spec.Name = "Pay!" }, fault.Invalid, "Pay!", ""},
		{"no command", func(d *wire.DeployRequest) { d.Spec.Entry.Command = nil }, fault.Invalid, "command", ""},
		{"bad pattern", func(d *wire.DeployRequest) { d.Spec.Triggers[0].Filter = []byte(`{"type":[{"nope":1}]}`) }, fault.Invalid, "nope", ""},
		{"route of another", func(d *wire.DeployRequest) { d.Spec.Triggers[1].Route.Path = "/pay/{key}" }, fault.Conflict, `of function "other"`, "more specific"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := good()
			c.change(&d)
			_, err := n.client.Deploy(t.Context(), d)
			wantFault(t, "Deploy", err, c.kind, c.message, c.hint)
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has more than one line: %q", err)
			}
		})
	}
	if fs, err := n.client.Functions(t.Context()); err != nil || len(fs) != 1 || fs[0].Name != "other" {
		t.Errorf("Functions = %+v, %v, want other alone", fs, err)
	}
}

func TestFunctionsShowWhatIsKnown(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.script.instances = []wire.Instance{{ID: "i1", Function: "pay", Version: 1, State: "idle", Runs: 4}, {ID: "i2", Function: "other"}}
	fs, err := n.client.Functions(t.Context())
	ok(t, err)
	if len(fs) != 1 || fs[0].Version != 1 || fs[0].Instances != 1 || fs[0].Triggers != 2 || fs[0].Lag != 14 || !fs[0].Isolated || fs[0].Entry != function.EntryStdio {
		t.Errorf("Functions = %+v", fs)
	}
	n.script.lagTrouble = errors.New("no broker answers")
	partial, err := n.client.Functions(t.Context())
	ok(t, err)
	f, err := n.client.Function(t.Context(), "pay")
	ok(t, err)
	if fs[0].LagPartial || !partial[0].LagPartial || partial[0].Lag != 14 || f.Triggers[0].LagPartial || !f.Triggers[1].LagPartial {
		t.Errorf("where a lag is partial: %+v, %+v, want that it is said of on-order and the function alone", partial, f.Triggers)
	}
	if len(f.Instances) != 1 || f.Instances[0].ID != "i1" {
		t.Errorf("instances = %+v, want i1", f.Instances)
	}
	var shown []string
	for _, tr := range f.Triggers {
		lag := "-"
		if tr.Lag != nil {
			lag = "lag"
		}
		shown = append(shown, tr.Name+" "+tr.Topic+" "+lag)
	}
	if got := strings.Join(shown, ", "); got != "invoke _dalamb.invoke lag, on-order events lag, web  -" {
		t.Errorf("triggers = %s", got)
	}
	_, err = n.client.Function(t.Context(), "pya")
	wantFault(t, "Function(pya)", err, fault.NotFound, `there is no function "pya"`, "pay")

	node, err := n.client.Node(t.Context())
	ok(t, err)
	if node.Version != "1.2.3" || node.Functions != 1 || node.Topics != 1 || node.Instances != 2 || node.Space != "ok" {
		t.Errorf("Node = %+v", node)
	}
}

func TestPauseResumeRemove(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	ctx := t.Context()
	paused := func() bool {
		tr, err := n.catalog.View().Trigger("pay", "on-order")
		ok(t, err)
		return tr.Paused
	}
	for range 2 { // pausing what is paused is fine
		ok(t, n.client.PauseTrigger(ctx, "pay", "on-order"))
		if !paused() {
			t.Error("not paused after pause")
		}
	}
	ok(t, n.client.ResumeTrigger(ctx, "pay", "on-order"))
	if paused() {
		t.Error("paused after resume")
	}
	wantFault(t, "pause of a route", n.client.PauseTrigger(ctx, "pay", "web"), fault.Invalid, "is a route", "")
	wantFault(t, "pause of nothing", n.client.PauseTrigger(ctx, "pay", "on-ordr"), fault.NotFound, "on-ordr", "on-order")
	removed, err := n.client.Remove(ctx, "pay")
	if err != nil || removed != (wire.Removed{Function: "pay", Waiting: 14}) {
		t.Errorf("Remove = %+v, %v, want the 7 events of on-order and the 7 calls that waited", removed, err)
	}
	_, err = n.client.Remove(ctx, "pay")
	wantFault(t, "Remove again", err, fault.NotFound, `"pay"`, "")
	if d := n.deploy(payManifest, "one"); !d.Created {
		t.Errorf("Deploy after Remove = %+v, want a new version", d)
	}
}

func TestCode(t *testing.T) {
	n := newNode(t)
	digest := n.upload("one")
	other := "sha256:" + strings.Repeat("0", 64)
	for d, want := range map[string]bool{digest: true, other: false} {
		if got, err := n.client.HasCode(t.Context(), d); err != nil || got != want {
			t.Errorf("HasCode(%s) = %v, %v, want %v", d, got, err, want)
		}
	}
	wantFault(t, "PutCode under another digest", n.client.PutCode(t.Context(), other, strings.NewReader(strings.Repeat("\x00", 1024))), fault.Invalid, "not "+other+" as announced", "")
	wantFault(t, "PutCode of no archive", n.client.PutCode(t.Context(), other, strings.NewReader(strings.Repeat("x", 600))), fault.Invalid, "not a whole tar archive", "")
	if _, err := n.client.HasCode(t.Context(), "sha256:xyz"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("HasCode of no digest = %v, want invalid", err)
	}
}

func TestCallsAreRefusedWhereNothingIsFenced(t *testing.T) {
	n := newNode(t)
	calling := payManifest + "calls: [pay]\n"
	n.deploy(calling, "one")
	n.script.isolated = false
	_, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, calling), Code: n.upload("two")})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "calls others, which it cannot with the runner") || fault.HintOf(err) == "" {
		t.Errorf("Deploy = %v, hint %q; want Unavailable, why and the next step", err, fault.HintOf(err))
	}
}
