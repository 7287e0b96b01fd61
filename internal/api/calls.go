package api

import (
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// checkCaller refuses calls where functions have no network of their own, and so no place for the names.
func checkCaller(runner wire.Runner, spec *function.Spec) error {
	if len(spec.Calls) == 0 || runner.Isolated {
		return nil
	}
	return fault.New(fault.Unavailable, "function %q calls others, which it cannot with the runner %s of this node", spec.Name, runner.Name).
		WithHint("run the node with a runner that isolates functions: native or oci:...")
}
