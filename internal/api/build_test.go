package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// yard builds what it is told to, and knows one log.
type yard struct {
	made build.Result
	err  error
	log  string // file
	asks []build.Request
}

func (y *yard) Run(_ context.Context, r build.Request) (*build.Result, error) {
	y.asks = append(y.asks, r)
	fmt.Fprintln(r.Out, "building")
	return &y.made, y.err
}

func (y *yard) Built(id, code string) (*function.Built, error) {
	if id != y.made.Built.ID || code != y.made.Code {
		return nil, fault.New(fault.NotFound, "this node knows no build %q", id)
	}
	return y.made.Built, nil
}

func (y *yard) Log(string) (*os.File, error) { return os.Open(y.log) }

func (y *yard) Key() *build.Key { return nil }

func TestAVersionKnowsItsBuild(t *testing.T) {
	n := newNode(t)
	source, made := n.upload("source"), n.upload("made")
	y := &yard{made: build.Result{Code: made, Built: &function.Built{ID: "b1", Builder: "go", Provenance: []byte(`{"payload":"x"}`)}}, log: filepath.Join(t.TempDir(), "log")}
	if err := os.WriteFile(y.log, []byte("building\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.api.builds = y
	how := function.Build{Type: function.BuildGo, Network: function.NetworkNone, Timeout: function.BuildTimeout}
	var said []wire.BuildProgress
	for line, err := range n.client.Build(t.Context(), wire.BuildRequest{Function: "pay", Source: source, Build: how, Programs: []string{"pay"}}) {
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, line)
	}
	if len(said) != 2 || said[0].Line != "building" || said[1].Code != made || said[1].Built.ID != "b1" {
		t.Errorf("the build said %+v", said)
	}
	if len(y.asks) != 1 || y.asks[0].Scope != "function pay" || y.asks[0].Origin != nil {
		t.Errorf("asked for %+v, want one build of the function's own scope, of no known origin", y.asks)
	}
	req := wire.DeployRequest{Spec: spec(t, payManifest), Code: made}
	req.Build = "b1"
	if _, err := n.client.Deploy(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	list, err := n.client.Versions(t.Context(), "pay")
	if err != nil || list.Versions[0].Built == nil || list.Versions[0].Built.Builder != "go" {
		t.Errorf("Versions = %+v, %v; want one that is built with go", list, err)
	}
	if signed, err := n.client.Provenance(t.Context(), "pay", 1); err != nil || strings.TrimSpace(string(signed)) != `{"payload":"x"}` {
		t.Errorf("Provenance = %s, %v", signed, err)
	}
	// Who deploys cannot say of other code that it was built.
	req = wire.DeployRequest{Spec: spec(t, payManifest), Code: source}
	req.Build = "b1"
	if _, err := n.client.Deploy(t.Context(), req); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Deploy of other code than was built = %v, want a NotFound fault", err)
	}
	n.api.signed = true
	if _, err := n.client.Deploy(t.Context(), wire.DeployRequest{Spec: spec(t, payManifest), Code: source}); fault.KindOf(err) != fault.Denied {
		t.Errorf("Deploy of what is not signed = %v, want a Denied fault", err)
	}
	req = wire.DeployRequest{Spec: spec(t, payManifest), Code: made}
	req.Build, req.Spec.Base = "b1", "docker.io/library/debian:12"
	if _, err := n.client.Deploy(t.Context(), req); fault.KindOf(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "@sha256:") {
		t.Errorf("Deploy of what is built, upon an image by its tag = %v (%s), want a Denied fault that asks for the digest", err, fault.HintOf(err))
	}
	req.Spec.Base += "@sha256:" + strings.Repeat("0", 64)
	if _, err := n.client.Deploy(t.Context(), req); err == nil || strings.Contains(err.Error(), "require: signed") {
		t.Errorf("Deploy of what is built, upon an image by its digest = %v, want it looked for", err)
	}
	y.err = errors.New("no")
	for _, err := range n.client.Build(t.Context(), wire.BuildRequest{Function: "pay", Source: source, Build: how}) {
		if err != nil && fault.KindOf(err) != fault.Internal {
			t.Errorf("Build that dalamb is to blame for = %v", err)
		}
	}
}

func TestBuildsThatAreRefusedAtOnce(t *testing.T) {
	n := newNode(t)
	n.api.builds = &yard{}
	source := n.upload("source")
	how := function.Build{Type: function.BuildGo, Network: function.NetworkNone, Timeout: function.BuildTimeout}
	for name, c := range map[string]struct {
		req  wire.BuildRequest
		kind fault.Kind
	}{
		"no function": {wire.BuildRequest{Source: source, Build: how}, fault.Invalid},
		"no name":     {wire.BuildRequest{Function: "../pay", Source: source, Build: how}, fault.Invalid},
		"no digest":   {wire.BuildRequest{Function: "pay", Source: "x", Build: how}, fault.Invalid},
		"not here":    {wire.BuildRequest{Function: "pay", Source: "sha256:" + strings.Repeat("0", 64), Build: how}, fault.NotFound},
		"no timeout":  {wire.BuildRequest{Function: "pay", Source: source, Build: function.Build{Type: function.BuildGo, Network: function.NetworkNone}}, fault.Invalid},
	} {
		for _, err := range n.client.Build(t.Context(), c.req) {
			if fault.KindOf(err) != c.kind || err == nil {
				t.Errorf("%s: Build = %v, want a %v fault", name, err, c.kind)
			}
		}
	}
}

func TestACommandThatFindsNothingIsWarnedOf(t *testing.T) {
	n := newNode(t)
	req := wire.DeployRequest{Spec: spec(t, payManifest), Code: n.upload("made")}
	req.Spec.Entry.Command = []string{"python3", "gone.py"}
	for isolated, want := range map[bool]bool{true: true, false: false} {
		n.script.isolated = isolated
		made, err := n.client.Deploy(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(made.Warnings, "\n"), `the file "gone.py", which is not in the code`); got != want {
			t.Errorf("isolated %v: the deploy warns %q", isolated, made.Warnings)
		}
	}
}
