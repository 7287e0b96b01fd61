//go:build linux

package native

import (
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

func TestEgress(t *testing.T) {
	fences(t)
	runnertest.Egress(t, newRunner)
}

func TestEgressIsBoundedForTheNode(t *testing.T) {
	fences(t)
	if !runnertest.OnStage(t, newRunner) {
		return
	}
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.flows == nil {
		t.Fatal("New bounds nothing")
	}
	a := runnertest.NewReacher(t, r)
	to := a.Public()
	r.flows = egress.NewBudget(1)
	for range 3 { // what one sandbox had, the next one gets
		if got := a.Reaches(t, nil, to); got[0] == "refused" {
			t.Fatalf("%s: %q within the bound", to, got[0])
		}
	}
	r.flows = egress.NewBudget(0)
	if got := a.Reaches(t, nil, to); got[0] != "refused" {
		t.Errorf("%s: %q beyond the bound, want refused", to, got[0])
	}
}
