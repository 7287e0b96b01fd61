package oci

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// Options are what a Runner is made from.
type Options struct {
	Runtime  string       // one of Runtimes
	StateDir string       // as native.Options.StateDir
	Log      *slog.Logger // nil = none
	Spare    int          // as native.Options.Spare
	IDs      native.IDs   // as native.Options.IDs
}

// Runner implements runner.Runner.
type Runner struct {
	*native.Runner
	runtime string
}

// New makes a runner. It starts nothing.
func New(o Options) (*Runner, error) {
	if !slices.Contains(Runtimes(), o.Runtime) {
		return nil, unknown(o.Runtime)
	}
	no := native.Options{StateDir: o.StateDir, Log: o.Log, Spare: o.Spare, IDs: o.IDs, Kernel: ownKernel(o.Runtime)}
	if no.Kernel == nil {
		m, err := newMaker(o.Runtime, o.StateDir)
		if err != nil {
			return nil, err
		}
		no.Maker = m
	}
	n, err := native.New(no)
	if err != nil {
		return nil, err
	}
	return &Runner{Runner: n, runtime: o.Runtime}, nil
}

// Name implements runner.Runner.
func (r *Runner) Name() string { return Prefix + r.runtime }

// Check implements runner.Runner.
func (r *Runner) Check(ctx context.Context) (runner.Ability, error) {
	if os.Geteuid() != 0 {
		return runner.Ability{}, fault.New(fault.Unavailable, "the runner %s needs root: a runtime cannot give an ordinary user's sandbox limits or users", r.Name()).
			WithHint("start dalamb as root, or with --runner native; dalamb doctor says whether that can fence functions as this user")
	}
	if _, err := exec.LookPath(r.runtime); err != nil {
		return runner.Ability{}, fault.New(fault.Unavailable, "the runner %s needs the program %s, which is not in PATH", r.Name(), r.runtime).
			WithHint("install it (%s), or let functions run with the runner native", source(r.runtime))
	}
	a, err := r.Runner.Check(ctx)
	if err != nil {
		return a, fault.New(fault.Unavailable, "%s: %w", r.Name(), err).WithHint("see what %s says of this machine, or start dalamb with --runner native", r.runtime)
	}
	return a, nil
}

// source says where to get a runtime.
func source(runtime string) string {
	switch runtime {
	case "runsc":
		return "gVisor's of 2025 or later: gvisor.dev/docs/user_guide/install"
	case "kata-runtime":
		return "of Kata Containers 1; later ones cannot be told what to run by a command line"
	}
	return "Debian: apt-get install " + runtime
}

func unknown(runtime string) error {
	return fault.New(fault.Invalid, "%q is not an OCI runtime that dalamb can use", runtime).
		WithHint("it can use %s", strings.Join(Runtimes(), ", "))
}
