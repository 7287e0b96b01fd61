package api

import (
	"reflect"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestAScaleIsAnotherVersionOfTheSame(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	before, err := n.catalog.View().Version("pay", function.LiveAlias, 0)
	ok(t, err)
	number := func(i int) *int { return &i }

	would, err := n.client.Scale(t.Context(), "pay", wire.ScaleRequest{Max: number(7), DryRun: true})
	ok(t, err)
	if v, err := n.catalog.View().Version("pay", function.LiveAlias, 0); err != nil || v.Number != 1 || would.Version != 0 {
		t.Errorf("a dry run made %+v, and live is at %d, %v; want nothing changed", would, v.Number, err)
	}

	did, err := n.client.Scale(t.Context(), "pay", wire.ScaleRequest{Max: number(7), Version: 1})
	ok(t, err)
	after, err := n.catalog.View().Version("pay", function.LiveAlias, 0)
	ok(t, err)
	if did.Version != 2 || !did.Created || !did.Moved || after.Number != 2 {
		t.Errorf("Scale = %+v, live is at %d; want version 2 there", did, after.Number)
	}
	want := before.Spec
	want.Scale.Max = 7
	if !reflect.DeepEqual(after.Spec, want) || after.Code != before.Code {
		t.Errorf("version 2 = %+v of %s, want it like version 1 but for scale.max", after.Spec, after.Code)
	}

	for _, tt := range []struct {
		name          string
		r             wire.ScaleRequest
		kind          fault.Kind
		message, hint string
	}{
		{"the same", wire.ScaleRequest{Max: number(7)}, fault.Conflict, "has 0 to 7 instances on a node already", "another min or max"},
		{"nothing", wire.ScaleRequest{}, fault.Conflict, "already", ""},
		{"upon what is no more", wire.ScaleRequest{Max: number(8), Version: 1}, fault.Conflict, "version 2 of pay is live by now, and not 1", "look at it again"},
		{"none at most", wire.ScaleRequest{Max: number(0)}, fault.Invalid, "scale.max", ""},
		{"more at least than at most", wire.ScaleRequest{Min: number(9)}, fault.Invalid, "scale.min", ""},
	} {
		_, err := n.client.Scale(t.Context(), "pay", tt.r)
		wantFault(t, tt.name, err, tt.kind, tt.message, tt.hint)
	}
	_, err = n.client.Scale(t.Context(), "nobody", wire.ScaleRequest{Max: number(7)})
	wantFault(t, "no function", err, fault.NotFound, `"nobody"`, "")
	if v, err := n.catalog.View().Version("pay", function.LiveAlias, 0); err != nil || v.Number != 2 {
		t.Errorf("what was refused has changed something: live is at %d, %v", v.Number, err)
	}
}
