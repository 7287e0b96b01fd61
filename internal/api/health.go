package api

import (
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/health"
	"github.com/dalamb/dalamb/internal/wire"
)

// Health is what the API needs of who grades.
type Health interface {
	Node() health.Report
	Function(name string) health.Report
}

func wireHealth(fn string, r health.Report) wire.Health {
	out := wire.Health{Function: fn, Grade: r.Grade.String(), Window: function.Duration(r.Window), Measures: []wire.HealthMeasure{}}
	for _, m := range r.Measures {
		out.Measures = append(out.Measures, wire.HealthMeasure{
			Name: m.Name, Grade: m.Grade.String(), Average: m.Average, P95: m.P95, Samples: m.Samples, Degraded: m.Limit.Degraded, Unhealthy: m.Limit.Unhealthy,
		})
	}
	return out
}

func (a *API) getHealth(r *http.Request, _ query) (any, error) {
	out := wire.NodeHealth{Health: wireHealth("", a.health.Node()), Functions: []wire.Health{}}
	if a.shipping != nil {
		out.Shipping = a.shipping()
	}
	if _, err := a.dispatcher.Lag(r.Context(), ""); err != nil {
		out.LagTrouble = err.Error()
	}
	for _, f := range a.catalog.View().Functions() {
		if report := a.health.Function(f.Name); called(report) {
			out.Functions = append(out.Functions, wireHealth(f.Name, report))
		}
	}
	return out, nil
}

func called(r health.Report) bool {
	for _, m := range r.Measures {
		if m.Samples > 0 {
			return true
		}
	}
	return false
}

func (a *API) getFunctionHealth(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if _, err := a.catalog.View().Function(name); err != nil {
		return nil, err
	}
	return wireHealth(name, a.health.Function(name)), nil
}

// healthRoutes are those of how well things go.
func (a *API) healthRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/health", Name: "getHealth", Summary: "How well this node does, and those of its functions that were called within the window: rolling averages and their bounds.", Answer: wire.NodeHealth{}, serve: a.getHealth},
		{Method: "GET", Path: "/v1/functions/{name}/health", Name: "getFunctionHealth", Summary: "How well a function does on this node.", Answer: wire.Health{}, serve: a.getFunctionHealth},
		{Method: "GET", Path: "/v1/machine", Name: "getMachine", Summary: "What the node's machine gives it, and how to get the rest: of what dalamb doctor looks at, all but what it tries out.", Answer: wire.MachineReport{}, serve: a.getMachine},
	}
}

// getMachine looks at the machine, now.
func (a *API) getMachine(*http.Request, query) (any, error) {
	out := wire.MachineReport{Findings: []wire.Finding{}}
	if a.machine == nil {
		return out, nil
	}
	all, err := a.machine()
	if err != nil {
		return nil, fmt.Errorf("look at the machine: %w", err)
	}
	out.Findings = append(out.Findings, all...)
	return out, nil
}
