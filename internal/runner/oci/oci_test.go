//go:build linux

package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// runtimeVar tells the node that the suite kills which runtime it is about.
const runtimeVar = "DALAMB_TEST_OCI_RUNTIME"

func newRunner(stateDir string) (runner.Runner, error) {
	return New(Options{Runtime: os.Getenv(runtimeVar), StateDir: stateDir})
}

func TestMain(m *testing.M) { os.Exit(runnertest.Main(m, newRunner)) }

// tested are the runtimes that a machine for tests has; see TestKataRuntime for the other.
func tested() []string { return []string{"crun", "runc", "runsc"} }

func TestConformance(t *testing.T) {
	need.Root(t)
	for _, name := range tested() {
		t.Run(name, func(t *testing.T) {
			need.Program(t, name)
			t.Setenv(runtimeVar, name)
			runnertest.Run(t, newRunner)
		})
	}
}

func TestEgress(t *testing.T) {
	need.Root(t)
	for _, name := range tested() {
		t.Run(name, func(t *testing.T) {
			need.Program(t, name)
			t.Setenv(runtimeVar, name)
			runnertest.Egress(t, newRunner)
		})
	}
}

func TestTheNextNodeRemovesWhatAKilledOneLeftWithoutASuccessor(t *testing.T) {
	need.Root(t)
	for _, name := range tested() {
		t.Run(name, func(t *testing.T) {
			need.Program(t, name)
			t.Setenv(runtimeVar, name)
			runnertest.Orphans(t, newRunner)
		})
	}
}

func TestOtherRuntimesAreRefused(t *testing.T) {
	for _, name := range []string{"", "kata", "/bin/sh", "crun --debug"} {
		if _, err := New(Options{Runtime: name, StateDir: t.TempDir()}); fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("New(%q) = %v, want an Invalid fault with a hint", name, err)
		}
	}
}

func TestOrdinaryUserIsRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		runnertest.AsOrdinaryUser(t, "TestOrdinaryUserIsRefused")
		return
	}
	r, err := New(Options{Runtime: "crun", StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Check(t.Context()); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "--runner native") {
		t.Errorf("Check = %v, hint %q; want an Unavailable fault that names another runner", err, fault.HintOf(err))
	}
}

// A runtime that is not there, or that fails, is named with its reason, and nothing is left.
func TestRuntimeThatFails(t *testing.T) {
	need.Root(t)
	for name, c := range map[string]struct{ script, says string }{
		"missing": {"", "the program runc, which is not in PATH"},
		"silent":  {"#!/bin/sh\nexit 3\n", "runc create: it does not say why (exit status 3)"},
		"says why": {"#!/bin/sh\nwhile [ $# -gt 0 ]; do [ $1 = --log ] && echo '{\"level\":\"error\",\"msg\":\"no luck today\"}' >$2; shift; done\nexit 1\n",
			"runc create: no luck today (exit status 1)"},
		"no pid": {"#!/bin/sh\n", "read the init's pid"},
	} {
		t.Run(name, func(t *testing.T) {
			path, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
			if c.script != "" {
				if err := os.WriteFile(filepath.Join(path, "runc"), []byte(c.script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", path)
			r, err := New(Options{Runtime: "runc", StateDir: state, Spare: -1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Check(t.Context()); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
				t.Errorf("Check = %v, want an Unavailable fault with a hint and %q", err, c.says)
			}
			if left, _ := os.ReadDir(filepath.Join(state, "oci", "bundles")); len(left) > 0 {
				t.Errorf("%d bundles are left", len(left))
			}
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, err := os.Stat(state); !os.IsNotExist(err) {
				t.Errorf("state directory after Close: %v, want it gone", err)
			}
		})
	}
}
