package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/health"
)

func (n *Node) openHealth() (err error) {
	c := n.config.Health
	limit := func(b config.Bounds) health.Limit { return health.Limit{Degraded: b.Degraded, Unhealthy: b.Unhealthy} }
	n.health, err = health.New(health.Options{
		Window: c.Window.Std(), Queued: n.fleet.Queued, Logger: n.logger, Metrics: n.metrics,
		Limits: health.Limits{Store: limit(c.Store), Queue: limit(c.Queue), Errors: limit(c.Errors), Response: limit(c.Response)},
	})
	return err
}

// watched is a fleet whose calls health is told of.
type watched struct {
	*fleet.Fleet
	health *health.Health
}

func (w watched) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	start := time.Now()
	r, err := w.Fleet.Invoke(ctx, c)
	w.health.Called(c.Function, r, err, time.Since(start))
	return r, err
}

// checks looks at the parts that can fail while the process lives.
func (n *Node) checks(ctx context.Context) map[string]error {
	_, logErr := n.log.Topics(ctx)
	if s, ok := n.log.(eventlog.SpaceReporter); ok && logErr == nil && s.Space() == eventlog.SpaceEmpty {
		logErr = fault.New(fault.Exhausted, "the disk is full")
	}
	var refused []error
	for p, err := range n.dispatcher.Refused() {
		refused = append(refused, fmt.Errorf("%s/%d: %w", p.Topic, p.ID, err))
	}
	return map[string]error{"log": logErr, "catalog": n.catalog.CatchUp(ctx), "dispatch": errors.Join(refused...)}
}
