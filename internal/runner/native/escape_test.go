//go:build linux

package native

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// update writes the table of docs/security.md anew: go test ./internal/runner/native -run TestEscapes -update
var update = flag.Bool("update", false, "write the table of docs/security.md as the tries end now")

const (
	securityPage = "../../../docs/security.md"
	tableBegin   = "<!-- native: begin -->\n"
	tableEnd     = "<!-- native: end -->\n"
)

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
	table := "| a function tries to | what comes of it |\n|---|---|\n"
	for _, e := range runnertest.Escapes(t, newRunner) {
		table += fmt.Sprintf("| %s | %s |\n", e.Try, e.Answer)
	}
	if t.Failed() {
		return
	}
	b, err := os.ReadFile(securityPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(b), tableBegin)
	old, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", securityPage)
	}
	if *update {
		if err := os.WriteFile(securityPage, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("%s says\n%s\nand the tries end as\n%s", securityPage, old, table)
	}
}
