package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// batchManifest has a function that takes a hundred events at a time.
const batchManifest = `
name: many
code: lambda
entry: {type: lambda, command: [./lambda]}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 2, min: 2}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.many]}, batch: {size: 100}}
`

// batchRow: how fast events that wait in the log go in batches of 100 through a lambda function that does nothing, against the same
// payloads given to the same program without a log.
func batchRow(ctx context.Context, b *bench) error {
	const turns, events, size = 3, 200_000, 100
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	if err := b.deploy(ctx, l.node, "many", batchManifest); err != nil {
		return err
	}
	bare := newCaller(l.bare)
	if bare.body, err = event.EncodeBatch(manyEvents(size)); err != nil {
		return err
	}
	var cpu []float64
	s, err := inTurns(ctx, turns, func() (float64, error) {
		rate, used, err := b.drainMany(ctx, l, events)
		cpu = append(cpu, used)
		return rate, err
	}, func() (float64, error) {
		x, err := bare.calls(ctx, 2, time.Second)
		return x.rate * size, err
	})
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: "lambda, 100 at a time", Unit: "events/s", Value: value, Yardstick: "bare Runtime API loop, same payloads", Of: of, Ratio: ratio, Target: valueAtLeast(200_000)})
	b.note("the node used %.1f µs of CPU time for an event, history included", median(cpu))
	return nil
}

func manyEvents(n int) []*event.Event {
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = &event.Event{ID: event.NewID(), Source: "/bench", Type: "bench.many", Time: time.Now(), DataContentType: "application/json", Data: []byte(`{"n":` + strconv.Itoa(i) + `}`)}
	}
	return events
}

// drainMany is drain for batches, whose runs have no record each: it waits until the trigger has nothing left. used is the node's CPU time
// for an event, in microseconds.
func (b *bench) drainMany(ctx context.Context, l *lab, n int) (rate, used float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := l.client.PauseTrigger(ctx, "many", "flow"); err != nil {
		return 0, 0, err
	}
	for left := n; left > 0; left -= 1000 {
		if _, err := l.client.Emit(ctx, function.TopicEvents, manyEvents(min(1000, left))); err != nil {
			return 0, 0, err
		}
	}
	if err := l.quiet(ctx); err != nil {
		return 0, 0, err
	}
	before, err := l.cpuSeconds()
	if err != nil {
		return 0, 0, err
	}
	if err := b.profiling(l.node, true); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := l.client.ResumeTrigger(ctx, "many", "flow"); err != nil {
		return 0, 0, err
	}
	for {
		f, err := l.client.Function(ctx, "many")
		if err != nil {
			return 0, 0, err
		}
		i := slices.IndexFunc(f.Triggers, func(t wire.Trigger) bool { return t.Name == "flow" })
		if lag := f.Triggers[i].Lag; lag != nil && *lag == 0 {
			took := time.Since(begun)
			after, err := l.cpuSeconds()
			return float64(n) / took.Seconds(), (after - before) * 1e6 / float64(n), errors.Join(err, b.profiling(l.node, false))
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return 0, 0, fmt.Errorf("wait for %d events in batches: %w", n, err)
		}
	}
}

// quiet waits until the node has sorted away what was appended, so that this is not counted as what running it costs.
func (n *node) quiet(ctx context.Context) error {
	const look = 300 * time.Millisecond
	for {
		before, err := n.cpuSeconds()
		if err != nil {
			return err
		}
		if err := pause(ctx, look); err != nil {
			return fmt.Errorf("wait for the node to come to rest: %w", err)
		}
		after, err := n.cpuSeconds()
		if err != nil || after-before <= 0.05*look.Seconds() {
			return err
		}
	}
}

// cpuSeconds is the CPU time of the node's own process. Linux alone tells.
func (n *node) cpuSeconds() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks float64
	for _, i := range []int{11, 12} { // utime and stime; proc_pid_stat(5), counted from after the name
		x, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, err
		}
		ticks += x
	}
	return ticks / 100, nil
}
