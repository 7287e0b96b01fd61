package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestTroublesAreToldWithTheirFunctionAlone(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	all, err := n.client.Instances(t.Context(), "")
	if err != nil || len(all.Troubles) != 2 || len(all.Replaced) != 2 || all.Replaced[0].Times != 5 {
		t.Errorf("Instances = %+v, %v; want the troubles of pay and ship, and the last replacement of each", all, err)
	}
	own, err := n.client.Instances(t.Context(), "pay")
	if err != nil || len(own.Troubles) != 1 || own.Troubles[0].Kind != "start" || own.Troubles[0].Next == nil || len(own.Replaced) != 2 {
		t.Errorf("Instances of pay = %+v, %v; want its trouble and its replacements alone, and when it is tried again", own, err)
	}
	if _, err := n.client.Instances(t.Context(), "ship"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Instances of what there is not = %v, want NotFound", err)
	}
	fs, err := n.client.Functions(t.Context())
	if err != nil || len(fs) != 1 || len(fs[0].Troubles) != 1 || fs[0].Troubles[0].Reason != "drawn" {
		t.Errorf("Functions = %+v, %v; want pay with its trouble", fs, err)
	}
	f, err := n.client.Function(t.Context(), "pay")
	if err != nil || len(f.Troubles) != 1 {
		t.Errorf("Function = %+v, %v; want its trouble", f, err)
	}
}

func TestStartSaysWhyAVersionDoesNot(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.deploy(payManifest, "two")
	if got, err := n.client.Start(t.Context(), "pay", 1); err != nil || got.Version != 1 || got.Function != "pay" {
		t.Errorf("Start of version 1 = %+v, %v", got, err)
	}
	for version, want := range map[int]fault.Kind{0: fault.Unavailable, 2: fault.Unavailable, 3: fault.NotFound, -1: fault.Invalid} {
		if _, err := n.client.Start(t.Context(), "pay", version); fault.KindOf(err) != want {
			t.Errorf("Start of version %d = %v, want %s", version, err, want)
		}
	}
	if _, err := n.client.Start(t.Context(), "ship", 1); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Start of what there is not = %v, want NotFound", err)
	}
}
