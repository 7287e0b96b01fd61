package gateway

import (
	"context"
	"slices"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
)

// Take stores events of somebody who was let in elsewhere, under the name of the token that he showed, by the rules of ingest: all of them or none. It
// blocks until they are durable.
func (g *Gateway) Take(ctx context.Context, topic, sender string, events []*event.Event) error {
	for _, e := range events {
		if err := e.Validate(); err != nil {
			return invalid(err)
		}
	}
	out, err := g.append(ctx, intake{topic: topic, events: slices.Clone(events), sender: sender, env: access.From(ctx).Environment})
	g.metrics.events.Add(float64(len(out)))
	return err
}
