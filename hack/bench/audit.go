package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/event"
)

// auditRow: how fast a node takes events in while it hashes what it stores, against a node that does not. No function runs: ingest is what the audit may cost
// at most 5 % of.
func auditRow(ctx context.Context, b *bench) error {
	const turns, slice, size = 8, 3 * time.Second, 100
	on, err := b.startNode(ctx, "audited", "--audit", filepath.Join(b.dir, "checkpoints"))
	if err != nil {
		return err
	}
	off, err := b.startNode(ctx, "unaudited")
	if err != nil {
		return err
	}
	batch, err := event.EncodeBatch(manyEvents(size))
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name   string
		events float64
		caller func(n *node) *caller
	}{
		{"an event of 512 bytes a request, 16 at a time", 1, func(n *node) *caller { return n.event("bench.audit") }},
		{"100 events a request, 4 at a time", size, func(n *node) *caller {
			c := n.caller("/_/events")
			c.header.Set("Content-Type", "application/cloudevents-batch+json")
			c.body = batch
			return c
		}},
	} {
		connections := 16
		if c.events > 1 {
			connections = 4
		}
		cpu := map[*node][]float64{}
		measure := func(n *node) func() (float64, error) {
			caller := c.caller(n)
			return func() (float64, error) {
				before, err := n.cpuSeconds()
				if err != nil {
					return 0, err
				}
				x, err := caller.calls(ctx, connections, slice)
				if err != nil {
					return 0, err
				}
				if err := pause(ctx, 1500*time.Millisecond); err != nil { // the audit reads behind the writers
					return 0, err
				}
				after, err := n.cpuSeconds()
				cpu[n] = append(cpu[n], (after-before)*1e6/(x.rate*slice.Seconds()*c.events))
				return x.rate * c.events, err
			}
		}
		s, err := inTurns(ctx, b.turns(turns), measure(on), measure(off))
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: c.name, Unit: "events/s", Value: value, Yardstick: "a node without --audit", Of: of, Ratio: ratio, Target: ratioAtLeast(0.95)})
		b.note("%s: %.1f µs of the node's CPU time for an event with the audit, what is hashed later included, and %.1f µs without", c.name, median(cpu[on]), median(cpu[off]))
	}
	return nil
}
