package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

const root = "../.."

// systemd reads the unit as it would at a start, and says how much the service may.
func TestTheUnitIsValidAndFenced(t *testing.T) {
	analyze := need.Program(t, "systemd-analyze")
	text, err := os.ReadFile(filepath.Join(root, "deploy/systemd/dalamb.service"))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable() // systemd wants the program to be there
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "dalamb.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/dalamb ", self+" ")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 5.0 of 10, where 9.6 is a service that says nothing: sandboxes take namespaces and mounts.
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--no-pager", "--threshold=50", unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// RestartPreventExitStatus is about the main process alone: what is checked before it would be tried for ever.
func TestAWrongConfigurationIsTriedOnce(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/systemd/dalamb.service"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\nRestartPreventExitStatus=2\n") || strings.Contains(string(text), "\nExecStartPre=") {
		t.Error("the unit tries a wrong configuration again")
	}
	if !strings.Contains(string(text), "\nLogsDirectory=dalamb\n") {
		t.Error("the unit has no directory for what the file sinks of docs/logs.md write")
	}
}
