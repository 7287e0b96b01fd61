package api

import (
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// checkNamed refuses a function that names another one which is neither here nor comes with it.
func (a *API) checkNamed(spec *function.Spec, beside together) error {
	for _, n := range spec.Named() {
		if n.Function == spec.Name || beside.has(n.Function) {
			continue
		}
		if _, err := a.catalog.View().Function(n.Function); err != nil {
			return fault.New(fault.NotFound, "function %q, %s: %w", spec.Name, n.Field, err).WithHint("deploy the function that is named first, or both together")
		}
	}
	return nil
}
