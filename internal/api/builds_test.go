package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// tellBuild is what a node tells of a build; "" as outcome = it is under way.
func (n *node) tellBuild(id string, second int64, outcome string, functions ...string) {
	n.Helper()
	b := function.BuildEvent{ID: id, Functions: functions, Builder: "go", Outcome: function.BuildRunning, Started: time.Unix(second, 0).UTC()}
	n.emit(function.TopicBuilds, fact(event.TypeBuildStarted, functions[0], b))
	if outcome == "" {
		return
	}
	b.Outcome = outcome
	n.emit(function.TopicBuilds, fact(event.TypeBuildFinished, functions[0], b), fact(event.TypeBuildFinished, functions[0], b)) // told again after a crash
}

// idsOf are those of builds, with their outcomes and versions.
func idsOf(list []wire.Build) string {
	var all []string
	for _, b := range list {
		all = append(all, fmt.Sprint(b.ID, " ", b.Outcome, " ", b.Versions))
	}
	return strings.Join(all, "; ")
}

func TestBuildsAreListedAsTheLogTells(t *testing.T) {
	n := newNode(t)
	n.tellBuild("a", 1, function.BuildSucceeded, "pay", "bill")
	n.tellBuild("b", 2, function.BuildFailed, "ship")
	n.tellBuild("c", 3, "", "pay")
	n.emit(function.TopicBuilds, fact(event.TypeBuildFinished, "pay", "of a newer dalamb"))
	made := n.upload("made")
	n.api.builds = &yard{made: build.Result{Code: made, Built: &function.Built{ID: "a", Builder: "go"}}}
	req := wire.DeployRequest{Spec: spec(t, payManifest), Code: made}
	req.Build = "a"
	if _, err := n.client.Deploy(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    client.BuildQuery
		want string
	}{
		{client.BuildQuery{}, "c running []; b failed []; a succeeded [{pay 1}]"},
		{client.BuildQuery{Function: "bill"}, "a succeeded [{pay 1}]"},
		{client.BuildQuery{Function: "pay", Limit: 1}, "c running []"},
		{client.BuildQuery{Outcome: function.BuildFailed}, "b failed []"},
		{client.BuildQuery{Function: "other"}, ""},
	} {
		list, err := n.client.Builds(t.Context(), c.q)
		if got := idsOf(list.Builds); err != nil || got != c.want {
			t.Errorf("Builds(%+v) = %s, %v; want %s", c.q, got, err, c.want)
		}
	}
	one, err := n.client.OneBuild(t.Context(), "b")
	if err != nil || one.Outcome != function.BuildFailed || one.Functions[0] != "ship" {
		t.Errorf("OneBuild = %+v, %v; want the one that failed", one, err)
	}
	one, err = n.client.VersionBuild(t.Context(), "pay", 0)
	if err != nil || one.ID != "a" || len(one.Functions) != 2 {
		t.Errorf("VersionBuild = %+v, %v; want what the log tells of build a", one, err)
	}
	_, err = n.client.OneBuild(t.Context(), "d")
	wantFault(t, "OneBuild of none", err, fault.NotFound, `there is no build "d"`, "dalamb build ls")
	_, err = n.client.Builds(t.Context(), client.BuildQuery{Outcome: "good"})
	wantFault(t, "Builds of an outcome that is none", err, fault.Invalid, `"good" is not known`, "lost")
}

// TestAVersionKnowsABuildThatTheLogHasForgotten asks when the events are gone.
func TestAVersionKnowsABuildThatTheLogHasForgotten(t *testing.T) {
	n := newNode(t)
	made := n.upload("made")
	n.api.builds = &yard{made: build.Result{Code: made, Built: &function.Built{ID: "old", Builder: "rust", Source: "sha256:1", Took: function.Duration(time.Second)}}}
	req := wire.DeployRequest{Spec: spec(t, payManifest), Code: made}
	req.Build = "old"
	if _, err := n.client.Deploy(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	b, err := n.client.VersionBuild(t.Context(), "pay", 1)
	if err != nil || b.ID != "old" || b.Outcome != function.BuildSucceeded || b.Code != made || b.Builder != "rust" || b.Source != "sha256:1" || idsOf([]wire.Build{b}) != "old succeeded [{pay 1}]" {
		t.Errorf("VersionBuild = %+v, %v; want what the version knows", b, err)
	}
}

// TestOnlyTheNewestBuildsAreHeld folds more than are told.
func TestOnlyTheNewestBuildsAreHeld(t *testing.T) {
	n := newNode(t)
	for i := range maxBuilds + 5 {
		n.tellBuild(fmt.Sprintf("build-%04d", i), int64(i), "", "pay")
	}
	list, err := n.client.Builds(t.Context(), client.BuildQuery{Limit: maxBuilds})
	if err != nil || len(list.Builds) != maxBuilds || list.Builds[0].ID != "build-1004" || list.Builds[maxBuilds-1].ID != "build-0005" {
		t.Errorf("%d builds, %v; want the newest %d", len(list.Builds), err, maxBuilds)
	}
}
