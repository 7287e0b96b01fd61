package gateway

import (
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/health"
)

// crowdedShed is a reason for a refusal, for metrics: the node has more to do than it can, and others come first.
const crowdedShed = "shed"

// shedding refuses requests of a route while the node has more to do than it can, so that there is room for what is worth more. Health's averages say
// when: they do not flicker.
func (g *Gateway) shedding(t *catalog.Trigger) policy {
	priority := t.Route.Priority
	return func(x *exchange, c *Call, next handler) error {
		if g.spare(priority) > g.rand() {
			return next(x, c)
		}
		g.metrics.crowded.WithLabelValues(g.metrics.names.Of(t.Function, t.Name, crowdedShed)...).Inc()
		return fault.New(fault.Exhausted, "%w: the node has more to do than it can", errCrowded).WithHint("send it again in a moment")
	}
}

// spare is the share of a route's requests that are let in now, from 0 to 1. An unhealthy node lets in of an ordinary route what would bring its worst
// average down to the bound.
func (g *Gateway) spare(p function.Priority) float64 {
	if p == function.PriorityHigh {
		return 1
	}
	share := 1.0
	for _, m := range g.grade().Measures {
		switch {
		case m.Name != health.Queue && m.Name != health.Response || m.Grade == health.Healthy:
		case p == function.PriorityLow:
			return 0
		case m.Grade == health.Unhealthy && m.Average > 0:
			share = min(share, m.Limit.Unhealthy/m.Average)
		}
	}
	return share
}
