//go:build linux

package native

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// update writes the table of docs/security.md anew: go test ./internal/runner/native -run TestEscapes -update
var update = flag.Bool("update", false, "write the table of docs/security.md as the tries end now")

func document() runnertest.Document {
	return runnertest.Document{Page: "../../../docs/security.md", Name: "tries", Update: *update}
}

// The table in docs/security.md is what came of these tries.
func TestEscapes(t *testing.T) {
	fences(t)
	if os.Geteuid() != 0 {
		runnertest.LeaveEscapes(t, runnertest.Escapes(t, newRunner))
		return
	}
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	a := r.ability()
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	need.That(t, len(a.Lacks()) == 0, "a machine that gives all of the fence")
	document().Check(t, "native, root", runnertest.Escapes(t, newRunner))
}

func TestEscapesAsOrdinaryUser(t *testing.T) {
	fences(t)
	document().Check(t, "native, ordinary user", runnertest.EscapesAsOrdinaryUser(t, "TestEscapes"))
}

// The table of ways out in docs/security.md is what came of these tries.
func TestWaysOut(t *testing.T) {
	fences(t)
	if all := runnertest.WaysOut(t, newRunner); all != nil {
		waysOut().Check(t, "native, root", all)
	}
}

func TestWaysOutAsOrdinaryUser(t *testing.T) {
	fences(t)
	if all := runnertest.WaysOutAsOrdinaryUser(t, newRunner, "TestWaysOut"); all != nil {
		waysOut().Check(t, "native, ordinary user", all)
	}
}

func waysOut() runnertest.Document {
	return runnertest.Document{Page: "../../../docs/security.md", Name: "ways out", Update: *update}
}
