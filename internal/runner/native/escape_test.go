//go:build linux

package native

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// update writes the table of docs/security.md anew: go test ./internal/runner/native -run TestEscapes -update
var update = flag.Bool("update", false, "write the table of docs/security.md as the tries end now")

// The table in docs/security.md is what came of these tries.
func TestEscapes(t *testing.T) {
	fences(t)
	need.Root(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	a := r.ability()
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	need.That(t, len(a.Lacks()) == 0, "a machine that gives all of the fence")
	runnertest.Document{Page: "../../../docs/security.md", Name: "tries", Update: *update}.Check(t, "native", runnertest.Escapes(t, newRunner))
}
