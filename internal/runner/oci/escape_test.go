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

// What came of the tries on gVisor's kernel; on those that share the host's it is what the native runner's table says.
func TestEscapes(t *testing.T) {
	need.Root(t)
	need.Program(t, "runsc")
	t.Setenv(runtimeVar, "runsc")
	runnertest.Document{Page: "../../../docs/security.md", Name: "tries", Update: *update}.Check(t, "oci:runsc", runnertest.Escapes(t, newRunner))
}
