package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// throughputRow: how fast events that wait in the log go through a function that does nothing, each result synced, against the
// same program called without a log: as many calls at a time, nothing stored.
func throughputRow(ctx context.Context, b *bench) error {
	const turns, slice = 4, time.Second
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	once, err := b.program(ctx, "once")
	if err != nil {
		return err
	}
	direct, bare := newCaller(l.direct), newCaller(l.bare)
	rate := func(c *caller, connections int) func() (float64, error) {
		return func() (float64, error) {
			x, err := c.calls(ctx, connections, slice)
			return x.rate, err
		}
	}
	for _, c := range []struct {
		name, fn, yardstick string
		plain               func() (float64, error)
	}{
		{"http, 16 at a time", "web", "same server, direct", rate(direct, webConcurrency)},
		{"lambda, 4 instances", "lambda", "bare Runtime API loop", rate(bare, lambdaInstances)},
		{"stdio, 4 at a time", "once", "fork+exec", func() (float64, error) {
			x, err := atOnce(onceInstances, slice, func() error {
				_, _, err := forkExec([]string{once}, string(payload()))
				return err
			})
			return x.rate, err
		}},
	} {
		guess, err := c.plain()
		if err != nil {
			return err
		}
		// The first backlog only tells how large the others should be.
		n := max(50, int(guess/20))
		first, err := l.drain(ctx, c.fn, n)
		if err != nil {
			return err
		}
		n = min(max(50, int(first*slice.Seconds())), 30_000)
		s, err := inTurns(ctx, turns, func() (float64, error) { return l.drain(ctx, c.fn, n) }, c.plain)
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: c.name, Unit: "events/s", Value: value, Yardstick: c.yardstick, Of: of, Ratio: ratio})
	}
	return nil
}

// drain puts n events into the log while the function's trigger is paused, and returns how many it then finishes per second.
func (l *lab) drain(ctx context.Context, fn string, n int) (float64, error) {
	return l.drainBy(ctx, fn, n, func(ctx context.Context, _ string) (int64, error) { return l.recorded(ctx, function.TopicRuns) })
}

// drainBy is drain; over counts the runs of the function that are over, maybe with others.
func (d *node) drainBy(ctx context.Context, fn string, n int, over func(ctx context.Context, fn string) (int64, error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := d.client.PauseTrigger(ctx, fn, "flow"); err != nil {
		return 0, err
	}
	const batch = 500
	for left := n; left > 0; left -= batch {
		events := make([]*event.Event, min(batch, left))
		for i := range events {
			events[i] = &event.Event{
				ID: event.NewID(), Source: "/bench", Type: "bench." + fn, Time: time.Now(), DataContentType: "application/json", Data: payload(),
			}
		}
		if _, err := d.client.Emit(ctx, function.TopicEvents, events); err != nil {
			return 0, err
		}
	}
	before, err := over(ctx, fn)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := d.client.ResumeTrigger(ctx, fn, "flow"); err != nil {
		return 0, err
	}
	for {
		now, err := over(ctx, fn)
		if err != nil {
			return 0, fmt.Errorf("wait for %d runs of %s: %w", n, fn, err)
		}
		if now-before >= int64(n) {
			return float64(n) / time.Since(begun).Seconds(), nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%d of %d runs of %s are over: %w", now-before, n, fn, err)
		}
	}
}
