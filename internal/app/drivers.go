package app

import (
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// Every driver that a node can have is named in this file and nowhere else.

// openLog opens the event log of a node in dir.
func openLog(dir string, logger *slog.Logger, metrics prometheus.Registerer) (eventlog.Log, error) {
	l, err := disk.Open(disk.Options{Dir: dir, Log: logger, Metrics: metrics})
	if err != nil {
		return nil, err // and not a *disk.Log that is nil
	}
	return l, nil
}

// openRunner opens the runner that the configuration names.
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
