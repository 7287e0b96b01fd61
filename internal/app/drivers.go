package app

import (
	"log/slog"
	"path/filepath"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// openRunner is the list of runners: every driver that a node can have is named here and nowhere else.
func openRunner(name, data string, logger *slog.Logger) (runner.Runner, error) {
	state := filepath.Join(data, "run", name)
	switch name {
	case "native":
		return native.New(native.Options{StateDir: state, Log: logger})
	case "process":
		return process.New(process.Options{StateDir: state, Log: logger})
	}
	return nil, fault.Missing("runner", name, []string{"native", "process"}).WithHint("runners: native (fences functions), process (does not)")
}
