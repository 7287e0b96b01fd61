//go:build !linux

package oci

import (
	"log/slog"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// Options are what a Runner is made from.
type Options struct {
	Runtime  string
	StateDir string
	Log      *slog.Logger
	Spare    int
	IDs      native.IDs
}

// Runner cannot run anything: sandboxes are made of what Linux has.
type Runner struct{ *native.Runner }

// New refuses.
func New(o Options) (*Runner, error) {
	return nil, fault.New(fault.Unavailable, "the runner %s%s needs Linux", Prefix, o.Runtime).
		WithHint("run functions without isolation, as for development: --runner process")
}
