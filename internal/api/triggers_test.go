package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/wire"
)

// All triggers at once are those that each function has.
func TestTriggersOfAllFunctions(t *testing.T) {
	n := newNode(t)
	for _, name := range []string{"pay", "ship"} {
		n.deploy("name: "+name+"\nentry: {type: stdio, command: [./run]}\ntriggers:\n  - {name: on-event, topic: events}\n  - {name: web, route: {path: /"+name+"}}\n", "code of "+name)
	}
	var one wire.Function
	for _, name := range []string{"pay", "ship"} {
		f, err := n.client.Function(t.Context(), name)
		ok(n, err)
		one.Triggers = append(one.Triggers, f.Triggers...)
	}
	all, err := n.client.Triggers(t.Context(), "")
	ok(n, err)
	if len(all) != len(one.Triggers) {
		t.Errorf("all triggers are %d, those of each function %d", len(all), len(one.Triggers))
	}
	for i, got := range all {
		if want := one.Triggers[i]; got.Function != []string{"pay", "ship"}[i*2/len(all)] || got.Name != want.Name || got.Topic != want.Topic || (got.Lag == nil) != (want.Lag == nil) {
			t.Errorf("trigger %d is %s of %s, want %s", i, got.Name, got.Function, want.Name)
		}
	}
	some, err := n.client.Triggers(t.Context(), "events")
	ok(n, err)
	for _, got := range some {
		if got.Topic != "events" {
			t.Errorf("asked for those of a topic, there is %s of %s", got.Name, got.Topic)
		}
	}
	if len(some) != 2 {
		t.Errorf("%d triggers listen to events, want 2", len(some))
	}
}
