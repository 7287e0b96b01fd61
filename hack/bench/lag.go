package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// What one trigger is behind, in events, while another is timed.
const lagEvents = 1_000_000

// lagManifest has a trigger that is timed and two that fall behind: one whose function is slow, and one whose function does nothing,
// so that it catches up as fast as the machine can.
const lagManifest = `
name: quick
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
triggers:
  - {name: timed, topic: events, filter: {type: [bench.quick]}}
---
name: slow
code: web
entry: {type: http, command: [./web], concurrency: 8}
env: {SLEEP: 10ms}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: behind, topic: events, filter: {type: [%[1]s]}}
---
name: busy
code: web
entry: {type: http, command: [./web], concurrency: 8}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: behind, topic: events, filter: {type: [%[1]s]}}
`

// lagRow: how much later events reach one trigger's function while another trigger is behind by a million events and catches up, and
// what memory that takes, against a node that took in the same events when no trigger wanted them.
func lagRow(ctx context.Context, b *bench) error {
	const turns = 16
	if _, err := b.program(ctx, "web"); err != nil {
		return err
	}
	behind, level := &timed{}, &timed{}
	for _, t := range []struct {
		*timed
		name, wants string
	}{{behind, "lag", "bench.wanted"}, {level, "lag-none", "bench.unwanted"}} {
		if err := t.begin(ctx, b, t.name, fmt.Sprintf(lagManifest, t.wants)); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		fn, name string
		target   *target
	}{
		{"slow", "another function of 10 ms, 8 at a time", ratioAtMost(1.5)},
		{"busy", "another function that uses all the machine", nil},
	} {
		before, err := behind.lag(ctx, c.fn)
		if err != nil {
			return err
		}
		var with, without []float64 // all times, in ms
		memory := make(series, 4)
		p99, err := inTurns(ctx, turns, func() (float64, error) {
			if err := behind.client.ResumeTrigger(ctx, c.fn, "behind"); err != nil {
				return 0, err
			}
			took, err := behind.measure(ctx)
			with = append(with, took...)
			return quantile(took, 0.99), errors.Join(err, behind.weigh(ctx, &memory[0], &memory[2]))
		}, func() (float64, error) {
			if err := behind.client.PauseTrigger(ctx, c.fn, "behind"); err != nil {
				return 0, err
			}
			took, err := level.measure(ctx)
			without = append(without, took...)
			return quantile(took, 0.99), errors.Join(err, level.weigh(ctx, &memory[1], &memory[3]))
		})
		if err != nil {
			return err
		}
		after, err := behind.lag(ctx, c.fn)
		if err != nil {
			return err
		}
		b.note("%s: %d events behind at the start, %d at the end", c.name, before, after)
		_, _, ratio := p99.against(0, 1)
		value, of := quantile(with, 0.99), quantile(without, 0.99)
		ratio.Median = value / of // of all events: one turn has one event in a hundred
		b.add(line{Case: "p99 beside " + c.name, Unit: "ms", Value: value, Yardstick: "no lag", Of: of, Ratio: ratio, Target: c.target})
		value, of = median(with), median(without)
		b.add(line{Case: "p50 beside " + c.name, Unit: "ms", Value: value, Yardstick: "no lag", Of: of, Ratio: spread{value / of, value / of, value / of}})
		for i, what := range []string{"resident memory", "Go heap"} {
			value, of, ratio = series{memory[2*i], memory[2*i+1]}.against(0, 1)
			l := line{Case: what + " beside " + c.name, Unit: "MiB", Value: value, Yardstick: "no lag", Of: of, Ratio: ratio}
			if c.target != nil {
				l.Target = valueAtMost(of + 64)
			}
			b.add(l)
		}
	}
	return errors.Join(behind.stop(), level.stop())
}

// timed is a node whose function quick is timed.
type timed struct {
	*node
	sent int
}

// begin deploys, puts the events that others are to be behind by into the log, and waits until a new event gets through.
func (t *timed) begin(ctx context.Context, b *bench, name, manifest string) (err error) {
	if t.node, err = b.startNode(ctx, name); err != nil {
		return err
	}
	if err := b.deploy(ctx, t.node, name, manifest); err != nil {
		return err
	}
	for _, fn := range []string{"slow", "busy"} {
		if err := t.client.PauseTrigger(ctx, fn, "behind"); err != nil {
			return err
		}
	}
	if err := t.stop(); err != nil {
		return err
	}
	if err := fillLog(ctx, filepath.Join(b.dir, name, "log"), "bench.wanted", lagEvents); err != nil {
		return err
	}
	if t.node, err = b.startNode(ctx, name); err != nil {
		return err
	}
	_, err = t.measure(ctx)
	return err
}

// measure sends events to quick, one by one, and returns how long each took to reach it, in ms.
func (t *timed) measure(ctx context.Context) ([]float64, error) {
	const events = 100
	from, first := time.Now(), t.sent
	send := t.event("bench.quick")
	sent := make([]time.Time, events)
	for i := range sent {
		send.header["Ce-Id"] = []string{fmt.Sprint(first + i)}
		sent[i] = time.Now()
		if _, err := send.call(ctx); err != nil {
			return nil, err
		}
		if err := pause(ctx, 4*time.Millisecond); err != nil {
			return nil, err
		}
	}
	t.sent += events
	received, err := t.receipts(ctx, receiptQuery{Function: "quick", Trigger: "timed", From: from.Format(time.RFC3339Nano), First: first, N: events})
	if err != nil {
		return nil, err
	}
	took := make([]float64, events)
	for i := range took {
		took[i] = milliseconds(received[i].Sub(sent[i]))
	}
	return took, nil
}

// weigh adds the node's resident memory and the bytes of its live Go heap, in MiB.
func (t *timed) weigh(ctx context.Context, resident, heap *[]float64) error {
	r, err := t.residentMiB()
	if err != nil {
		return err
	}
	h, err := t.metric(ctx, "go_memstats_heap_inuse_bytes")
	if err != nil {
		return err
	}
	*resident, *heap = append(*resident, r), append(*heap, h/(1<<20))
	return nil
}

// lag is how far the function's triggers are behind.
func (n *node) lag(ctx context.Context, fn string) (int64, error) {
	all, err := n.client.Functions(ctx)
	if err != nil {
		return 0, err
	}
	for _, f := range all {
		if f.Name == fn {
			return f.Lag, nil
		}
	}
	return 0, fmt.Errorf("the node has no function %s", fn)
}
