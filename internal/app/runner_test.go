//go:build linux

package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/oci"
)

const ownRunner = `
name: own
runner: oci:crun
entry: {type: stdio, command: [sh, -c, "echo fenced; test -d /home || echo alone"]}
---
name: other
entry: {type: stdio, command: [sh, -c, "test -d /home && echo open"]}
`

func TestWhatAFunctionMayAskForIsWhatThereIs(t *testing.T) {
	known := []string{"native"}
	for _, name := range oci.Runtimes() {
		known = append(known, oci.Prefix+name)
	}
	if got := function.Runners(); !slices.Equal(got, known) {
		t.Errorf("function.Runners() = %q, and the drivers are %q", got, known)
	}
}

// A function may be fenced on a node that fences nothing; what a killed node left of its runner is taken away.
func TestFunctionAsksForItsRunner(t *testing.T) {
	need.Root(t)
	need.Program(t, "crun")
	data := t.TempDir()
	n := start(t, data)
	n.deploy(t.TempDir(), ownRunner)
	for name, want := range map[string]string{"own": "alone", "other": "open"} {
		got, err := n.client.Invoke(t.Context(), client.Invocation{Function: name, Payload: []byte("{}")})
		if err != nil || !strings.Contains(string(got.Payload), want) {
			t.Errorf("Invoke(%s) = %s, %v, want %q", name, got.Payload, err, want)
		}
	}
	state := filepath.Join(data, "run", "oci-crun")
	if _, err := os.Stat(state); err != nil {
		t.Fatalf("the runtime was not used: %v", err)
	}
	n.kill()
	n = start(t, data)
	if left, err := os.ReadDir(filepath.Join(state, "oci", "bundles")); err == nil && len(left) > 0 {
		t.Errorf("%d sandboxes of the killed node are left", len(left))
	}
	n.stop()
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("state of the runtime after a stop: %v, want it gone", err)
	}
}
