package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// syncRow: a call through the gateway to a warm function, against the same program called without a node.
func syncRow(ctx context.Context, b *bench) error {
	const turns, slice = 7, 350 * time.Millisecond
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	callers := []*caller{newCaller(l.direct), newCaller(l.proxy), newCaller(l.bare), l.caller("/bench/web"), l.caller("/bench/lambda")}
	const direct, proxy, bare, web, lambda = 0, 1, 2, 3, 4
	for _, connections := range []int{1, 16} {
		rates := make(series, len(callers))
		things := make([]func() (float64, error), len(callers))
		for i, c := range callers {
			things[i] = func() (float64, error) {
				x, err := c.calls(ctx, connections, slice)
				rates[i] = append(rates[i], x.rate)
				return x.p50, err
			}
		}
		if err := b.profiling(l.node, true); err != nil {
			return err
		}
		times, err := inTurns(ctx, b.turns(turns), things...)
		if err := errors.Join(err, b.profiling(l.node, false)); err != nil {
			return err
		}
		add := func(what string, s series, unit string, thing, yardstick int, name string, t *target) {
			value, of, ratio := s.against(thing, yardstick)
			b.add(line{Case: fmt.Sprintf("%s, %d conn.", what, connections), Unit: unit, Value: value, Yardstick: name, Of: of, Ratio: ratio, Target: t})
		}
		add("http p50", times, "ms", web, direct, "same server, direct", ratioAtMost(2))
		add("http p50", times, "ms", web, proxy, "same server, net/http proxy", nil)
		if connections == 1 {
			add("lambda p50", times, "ms", lambda, bare, "bare Runtime API loop", ratioAtMost(1.2))
			add("bare Runtime API loop p50", times, "ms", bare, direct, "http server, direct", nil)
			continue
		}
		// Four instances that take one call at a time let most of sixteen wait, behind any gateway: what counts is how many get through.
		add("http calls", rates, "calls/s", web, direct, "same server, direct", ratioAtLeast(0.9))
		add("http calls", rates, "calls/s", web, proxy, "same server, net/http proxy", nil)
		add("lambda p50", times, "ms", lambda, bare, "bare Runtime API loop", ratioAtMost(1.2))
		add("lambda calls", rates, "calls/s", lambda, bare, "bare Runtime API loop", ratioAtLeast(0.9))
	}
	return nil
}
