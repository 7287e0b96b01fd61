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
