package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// burstManifest has a function that is slow to start, by itself and behind a window in which batches gather.
const burstManifest = `
name: %[1]s
code: slow
entry: {type: http, command: [%[2]s, slow.py], concurrency: 1}
resources: {cpu: 8}
scale: {max: 8, idle: 500ms, freeze: 0}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.%[1]s]}, order: none%[3]s}
`

// burstRow: from a burst of 200 events to their last result, where no instance is there and each takes 300 ms to be ready, against the same
// burst where all eight are there.
func burstRow(ctx context.Context, b *bench) error {
	python, ok := b.interpreter("python3")
	if !ok {
		return nil
	}
	dir := filepath.Join(b.dir, "code", "slow")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := copyInto(dir, "hack/bench/testdata/slow/slow.py"); err != nil {
		return err
	}
	n, err := b.startNode(ctx, "burst")
	if err != nil {
		return err
	}
	defer n.stop()
	for _, c := range []struct{ name, what, batch string }{
		{"burst", "200 events at once, no instance there", ""},
		{"gathered", "200 events in batches that gather for 400 ms, no instance there", ", batch: {size: 1000, window: 400ms}"},
	} {
		if err := b.deploy(ctx, n, c.name, fmt.Sprintf(burstManifest, c.name, python, c.batch)); err != nil {
			return err
		}
		s, err := inTurns(ctx, b.turns(5), func() (float64, error) {
			if err := n.scaledDown(ctx, c.name); err != nil {
				return 0, err
			}
			return n.burst(ctx, c.name)
		}, func() (float64, error) { return n.burst(ctx, c.name) })
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: c.what, Unit: "ms", Value: value, Yardstick: "8 instances there", Of: of, Ratio: ratio})
	}
	return nil
}

// burst appends 200 events for a function in one batch, and returns after how many milliseconds none was left.
func (n *node) burst(ctx context.Context, fn string) (float64, error) {
	const most = 200
	events := make([]*event.Event, most)
	for i := range events {
		events[i] = &event.Event{ID: event.NewID(), Source: "/bench", Type: "bench." + fn, Time: time.Now(), DataContentType: "application/json", Data: payload()}
	}
	begun := time.Now()
	if _, err := n.client.Emit(ctx, function.TopicEvents, events); err != nil {
		return 0, err
	}
	for {
		left, err := n.lag(ctx, fn)
		if err != nil {
			return 0, err
		}
		if left == 0 {
			return milliseconds(time.Since(begun)), nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("wait for %d events: %w", most, err)
		}
	}
}

// scaledDown waits until a function has no instance.
func (n *node) scaledDown(ctx context.Context, fn string) error {
	for {
		list, err := n.client.Instances(ctx, fn)
		if err != nil {
			return err
		}
		if len(list.Instances) == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for %d instances of %s to end: %w", len(list.Instances), fn, err)
		}
	}
}
