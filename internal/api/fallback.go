package api

import (
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// checkFallbacks refuses a fallback that could answer nothing.
func (a *API) checkFallbacks(spec *function.Spec, beside together) error {
	for _, t := range spec.Triggers {
		if t.Route == nil || t.Route.Fallback == nil || t.Route.Fallback.Function == "" || beside.has(t.Route.Fallback.Function) {
			continue
		}
		if _, err := a.catalog.View().Function(t.Route.Fallback.Function); err != nil {
			return fault.New(fault.NotFound, "function %q, fallback of the route %s: %w", spec.Name, t.Name, err).
				WithHint("deploy the function that is to answer first, or with this one")
		}
	}
	return nil
}
