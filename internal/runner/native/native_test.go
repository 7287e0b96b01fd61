package native

import (
	"os"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

func newRunner(stateDir string) (runner.Runner, error) { return New(Options{StateDir: stateDir}) }

func TestMain(m *testing.M) { os.Exit(runnertest.Main(m, newRunner)) }

func TestConformance(t *testing.T) {
	need.Linux(t)
	runnertest.Run(t, newRunner)
}

func TestConformanceAsOrdinaryUser(t *testing.T) {
	need.Linux(t)
	runnertest.AsOrdinaryUser(t, "TestConformance")
}
