package catalog

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// stateOf is all that the fold knows of an environment, with the names of its consumer groups.
func stateOf(t *testing.T, v *View, env string) string {
	t.Helper()
	var all struct {
		Functions []*Function
		Values    []Value
		Groups    []string
	}
	for _, f := range v.Functions() {
		if function.Environment(f.Name) != env {
			continue
		}
		all.Functions = append(all.Functions, f)
		for _, tr := range f.Triggers {
			all.Groups = append(all.Groups, function.GroupOf(f.Name, tr.Name))
		}
	}
	for _, value := range slices.Concat(v.Secrets(), v.Config()) {
		if function.Environment(value.Name) == env {
			all.Values = append(all.Values, value)
		}
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEnvironmentsDoNotTouchEachOther(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	var v *View
	for _, env := range []string{"", "staging", "test"} {
		submit(t, c, SetSecret{Name: function.Full(env, "db"), Sealed: secret.Sealed{Key: "age1x", Text: []byte(env)}})
		submit(t, c, SetConfig{Name: function.Full(env, "level"), Value: "info"})
		made := version(function.Full(env, "pay"), on("t", "events", "order.made"))
		made.Spec.Secrets = []function.Secret{{Name: function.Full(env, "db"), Env: "DB"}}
		v = submit(t, c, Deploy{Version: made})
	}
	before := map[string]string{"": stateOf(t, v, ""), "test": stateOf(t, v, "test")}
	if before[""] == before["test"] || before["test"] == stateOf(t, v, "staging") {
		t.Fatal("the states of two environments look alike: this test says nothing")
	}
	second := version("staging.pay", on("t", "events", "order.paid"), on("u", "events", "x"))
	for what, change := range []Change{
		Pause{Function: "staging.pay", Trigger: "t", Paused: true},
		PauseKey{Function: "staging.pay", Trigger: "t", Key: "o-1", Paused: true},
		SetConfig{Name: "staging.level", Value: "debug"},
		SetSecret{Name: "staging.db", Sealed: secret.Sealed{Key: "age1x", Text: []byte("other")}},
		Deploy{Version: second},
		Shift{Function: "staging.pay", Alias: function.Alias{Name: "canary", Primary: 2, Weights: map[int]int{1: 50}}},
		Shift{Function: "staging.pay", Alias: function.Alias{Name: "live", Primary: 1}},
		RemoveAlias{Function: "staging.pay", Alias: "canary"},
		Deploy{Version: version("staging.mail")},
		Remove{Function: "staging.pay"},
		Remove{Function: "staging.mail"},
		RemoveSecret{Name: "staging.db"},
		RemoveConfig{Name: "staging.level"},
	} {
		was := stateOf(t, v, "staging")
		v = submit(t, c, change)
		if stateOf(t, v, "staging") == was {
			t.Errorf("change %d (%T) did nothing to staging: this test says nothing of it", what, change)
		}
		for env, want := range before {
			if got := stateOf(t, v, env); got != want {
				t.Errorf("change %d (%T) of staging changed environment %q:\n%s\nwas\n%s", what, change, env, got, want)
			}
		}
	}
	names := []string{}
	for _, e := range v.Environments() {
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"test"}) {
		t.Errorf("Environments() = %q, want test alone", names)
	}
	if _, err := v.Environment("staging"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Environment(staging) = %v, want NotFound", err)
	}
}

func TestWhoListensToATopicThatWouldBeAnEnvironments(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	v := submit(t, c, Deploy{Version: version("pay", on("t", "events", "x"))})
	if topic, fn := v.Eavesdropper("events"); fn != "" {
		t.Errorf("Eavesdropper(events) = %q, %q, want none: a topic of that name is not the environment's", topic, fn)
	}
}
