//go:build linux

package oci

import (
	"flag"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// update writes the table of docs/security.md anew: go test ./internal/runner/oci -run TestEscapes -update
var update = flag.Bool("update", false, "write the table of docs/security.md as the tries end now")

// What came of the tries with each runtime: those that share the host's kernel, and gVisor's.
func TestEscapes(t *testing.T) {
	need.Root(t)
	for _, name := range tested() {
		t.Run(name, func(t *testing.T) {
			need.Program(t, name)
			t.Setenv(runtimeVar, name)
			page := runnertest.Document{Page: "../../../docs/security.md", Name: "tries", Update: *update}
			page.Check(t, "oci:"+name, runnertest.Escapes(t, newRunner))
		})
	}
}

func TestWaysOut(t *testing.T) {
	need.Root(t)
	for _, name := range tested() {
		t.Run(name, func(t *testing.T) {
			need.Program(t, name)
			t.Setenv(runtimeVar, name)
			page := runnertest.Document{Page: "../../../docs/security.md", Name: "ways out", Update: *update}
			if all := runnertest.WaysOut(t, newRunner); all != nil {
				page.Check(t, "oci:"+name, all)
			}
		})
	}
}
