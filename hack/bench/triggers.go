package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// triggersRow: what an event costs, from the log to its function and back, by how many triggers its topic has. One of them wants it.
func triggersRow(ctx context.Context, b *bench) error {
	const turns, events = 5, 20_000
	counts := []int{1, 100, 10_000}
	things := make([]func() (float64, error), len(counts))
	for i, n := range counts {
		in, err := newInside(ctx, b, 4)
		if err != nil {
			return err
		}
		b.atEnd(in.close)
		if err := in.addTriggers(ctx, n); err != nil {
			return err
		}
		things[i] = func() (float64, error) {
			err := in.fill(ctx, events, func(i int) *event.Event {
				return &event.Event{ID: strconv.Itoa(i), Source: "/bench", Type: "x0", DataContentType: "application/json", Data: payload()}
			})
			if err != nil {
				return 0, err
			}
			took, err := in.run(ctx, events, func(*event.Event) {})
			return took.Seconds() * 1e6 / events, err
		}
	}
	s, err := inTurns(ctx, turns, things...)
	if err != nil {
		return err
	}
	for i, n := range counts {
		value, of, ratio := s.against(i, 0)
		b.add(line{Case: fmt.Sprintf("%d triggers", n), Unit: "µs/event", Value: value, Yardstick: "1 trigger", Of: of, Ratio: ratio, Target: ratioAtMost(1.3)})
	}
	return nil
}

// addTriggers makes n triggers, of which the first wants events of type x0.
func (in *inside) addTriggers(ctx context.Context, n int) error {
	const most = 250 // of one function
	for i := 0; i < n; {
		var ts []function.Trigger
		for ; len(ts) < most && i < n; i++ {
			ts = append(ts, function.Trigger{Name: fmt.Sprintf("t%d", i), Filter: fmt.Appendf(nil, `{"type":["x%d"]}`, i)})
		}
		if err := in.deploy(ctx, fmt.Sprintf("f%d", i), 64, ts...); err != nil {
			return err
		}
	}
	return nil
}
