package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// cacheManifest is the lab's web function behind a cache, which nothing of a run ends.
const cacheManifest = `
name: cached
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: cached, route: {method: GET, path: /bench/cached, cache: {ttl: 1h}}}
`

// cacheRow: answers that a route has kept, against the same program asked without a node.
func cacheRow(ctx context.Context, b *bench) error {
	const turns, slice = 7, 350 * time.Millisecond
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	if err := b.deploy(ctx, l.node, "cache", cacheManifest); err != nil {
		return err
	}
	cached, direct := newCaller(l.gateway+"/bench/cached"), newCaller(l.direct)
	for _, c := range []*caller{cached, direct} {
		c.method, c.body, c.header = http.MethodGet, nil, http.Header{}
	}
	for _, connections := range []int{1, 16} {
		things := make([]func() (float64, error), 2)
		for i, c := range []*caller{cached, direct} {
			if _, err := c.calls(ctx, connections, slice); err != nil {
				return err
			}
			things[i] = func() (float64, error) {
				x, err := c.calls(ctx, connections, slice)
				return x.p50, err
			}
		}
		times, err := inTurns(ctx, b.turns(turns), things...)
		if err != nil {
			return err
		}
		value, of, ratio := times.against(0, 1)
		b.add(line{Case: fmt.Sprintf("cache hit p50, %d conn.", connections), Unit: "ms", Value: value, Yardstick: "bare net/http handler", Of: of, Ratio: ratio, Target: ratioAtMost(1.2)})
	}
	return nil
}
