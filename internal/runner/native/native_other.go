//go:build !linux

package native

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// Options are what a Runner is made from.
type Options struct {
	StateDir string
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	Spare    int
	IDs      IDs
}

// IDs are user and group ids of the host.
type IDs struct{ First, Count int64 }

// Runner cannot run anything: sandboxes are made of what Linux has.
type Runner struct{}

// New makes a runner whose Check says that it cannot be used here.
func New(Options) (*Runner, error) { return &Runner{}, nil }

func errNotHere() error {
	return fault.New(fault.Unavailable, "the native runner needs Linux").
		WithHint("run functions without isolation, as for development: --runner process")
}

// Name implements runner.Runner.
func (*Runner) Name() string { return "native" }

// Check implements runner.Runner.
func (*Runner) Check(context.Context) (runner.Ability, error) { return runner.Ability{}, errNotHere() }

// Recover implements runner.Runner.
func (*Runner) Recover(context.Context) (int, error) { return 0, nil }

// Start implements runner.Runner.
func (*Runner) Start(context.Context, runner.Spec) (runner.Sandbox, error) { return nil, errNotHere() }

// Close implements runner.Runner.
func (*Runner) Close() error { return nil }
