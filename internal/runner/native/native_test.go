package native

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

func newRunner(stateDir string) (runner.Runner, error) { return New(Options{StateDir: stateDir}) }

func TestMain(m *testing.M) { os.Exit(runnertest.Main(m, newRunner)) }

// fences needs a machine that lets this user make sandboxes.
func fences(t testing.TB) {
	t.Helper()
	need.Linux(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(t.Context())
	if closeErr := r.Close(); closeErr != nil {
		t.Errorf("Close: %v", closeErr)
	}
	need.That(t, err == nil, fmt.Sprintf("a machine that can fence (%v; %s)", err, fault.HintOf(err)))
}

func TestConformance(t *testing.T) {
	fences(t)
	runnertest.Run(t, newRunner)
}

func TestConformanceAsOrdinaryUser(t *testing.T) {
	fences(t)
	runnertest.AsOrdinaryUser(t, "TestConformance")
}
