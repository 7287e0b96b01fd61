package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// idleRow: the memory of a node with a thousand functions that nobody calls, against a node that has none.
func idleRow(ctx context.Context, b *bench) error {
	const functions = 1000
	if _, err := b.program(ctx, "once"); err != nil {
		return err
	}
	empty, err := b.startNode(ctx, "empty")
	if err != nil {
		return err
	}
	full, err := b.startNode(ctx, "full")
	if err != nil {
		return err
	}
	var manifest strings.Builder
	for i := range functions {
		fmt.Fprintf(&manifest, "---\nname: f-%d\ncode: once\nentry: {type: stdio, command: [./once]}\ntriggers: [{name: t, topic: events, filter: {type: [idle.%[1]d]}}]\n", i)
	}
	if err := b.deploy(ctx, full, "idle", manifest.String()); err != nil {
		return err
	}
	if err := b.compareMemory(ctx, "1000 functions, after their deploy", full, empty); err != nil {
		return err
	}
	if err := full.stop(); err != nil {
		return err
	}
	if full, err = b.startNode(ctx, "full"); err != nil {
		return err
	}
	if err := b.compareMemory(ctx, "1000 functions, after a restart", full, empty); err != nil {
		return err
	}
	return b.compareCPU(ctx, "1000 functions, CPU that the node takes", full, empty)
}

// compareCPU looks at what both nodes take of a CPU while nothing happens, in the same time.
func (b *bench) compareCPU(ctx context.Context, what string, full, empty *node) error {
	const settle, look = 30 * time.Second, 15 * time.Second // a start leaves work: what was read is garbage then
	if err := pause(ctx, settle); err != nil {
		return err
	}
	seconds := func() (both [2]float64, err error) {
		for i, n := range []*node{full, empty} {
			if both[i], err = n.cpuSeconds(); err != nil {
				return both, err
			}
		}
		return both, nil
	}
	before, err := seconds()
	if err != nil {
		return err
	}
	if err := pause(ctx, look); err != nil {
		return err
	}
	after, err := seconds()
	if err != nil {
		return err
	}
	l := line{Case: what, Unit: "% of one", Yardstick: "empty node", Target: valueAtMost(1)}
	l.Value, l.Of = (after[0]-before[0])/look.Seconds()*100, (after[1]-before[1])/look.Seconds()*100
	if l.Of > 0 { // the kernel counts in hundredths of a second
		x := l.Value / l.Of
		l.Ratio = spread{x, x, x}
	}
	b.add(l)
	return nil
}

// compareMemory gives the nodes time to settle, then looks at both for a while.
func (b *bench) compareMemory(ctx context.Context, what string, full, empty *node) error {
	if err := pause(ctx, 6*time.Second); err != nil {
		return err
	}
	s, err := inTurns(ctx, b.turns(10), full.residentMiB, empty.residentMiB, func() (float64, error) { return 0, pause(ctx, 200*time.Millisecond) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: what, Unit: "MiB", Value: value, Yardstick: "empty node", Of: of, Ratio: ratio, Target: valueAtMost(100)})
	return nil
}
