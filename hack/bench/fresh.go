package main

import (
	"context"
	"time"
)

// freshManifest has a function twice: each call of the first has an instance of its own.
const freshManifest = `
name: fresh
code: lambda
entry: {type: lambda, command: [./lambda]}
resources: {memory: 64Mi, cpu: 8}
scale: {min: 2, max: 8, reuse: never}
triggers: [{name: call, route: {method: POST, path: /fresh}}]
---
name: warm
code: lambda
entry: {type: lambda, command: [./lambda]}
resources: {memory: 64Mi, cpu: 8}
scale: {max: 1}
triggers: [{name: call, route: {method: POST, path: /warm}}]
`

// freshRow: a call with reuse: never, whose instance was initialised ahead and is used once, against one to the same function whose instance
// stays; and one after another, which is what the node can make.
func freshRow(ctx context.Context, b *bench) error {
	if _, err := b.program(ctx, "lambda"); err != nil {
		return err
	}
	n, err := b.startNode(ctx, "fresh")
	if err != nil {
		return err
	}
	defer n.stop()
	if err := b.deploy(ctx, n, "fresh", freshManifest); err != nil {
		return err
	}
	fresh, warm := n.caller("/fresh"), n.caller("/warm")
	timed := func(c *caller, after time.Duration) func() (float64, error) {
		return func() (float64, error) {
			if err := pause(ctx, after); err != nil {
				return 0, err
			}
			begun := time.Now()
			_, err := c.call(ctx)
			return milliseconds(time.Since(begun)), err
		}
	}
	if _, err := timed(warm, 0)(); err != nil {
		return err
	}
	for _, rest := range []struct {
		what  string
		pause time.Duration
	}{{"reuse: never, calls at rest", 100 * time.Millisecond}, {"reuse: never, one call after another", 0}} {
		s, err := inTurns(ctx, b.turns(50), timed(fresh, rest.pause), timed(warm, 0))
		if err != nil {
			return err
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: rest.what, Unit: "ms", Value: value, Yardstick: "the same function, reused", Of: of, Ratio: ratio})
	}
	return nil
}
