package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// overloadManifest is a function that does 8 requests in 80 ms: 100 a second.
const overloadManifest = `
name: narrow
code: web
entry: {type: http, command: [./web], concurrency: 8}
env: {SLEEP: 80ms}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: narrow, route: {method: POST, path: /bench/narrow, concurrency: {max: 8, queue: 16, wait: 500ms}}}
`

// overloadRow: how many of the requests that come five times as fast as a function can do are done, against as many clients as it has places.
func overloadRow(ctx context.Context, b *bench) error {
	const capacity, times, slice = 100, 5, 3 * time.Second
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	if err := b.deploy(ctx, l.node, "overload", overloadManifest); err != nil {
		return err
	}
	c := l.caller("/bench/narrow")
	if _, err := c.calls(ctx, 8, time.Second); err != nil {
		return err
	}
	var slow []float64
	s, err := inTurns(ctx, b.turns(5), func() (float64, error) {
		x, err := c.arrive(ctx, capacity*times, slice)
		slow = append(slow, quantile(x.admitted, 0.99))
		return float64(len(x.admitted)) / x.took.Seconds(), err
	}, func() (float64, error) {
		x, err := c.calls(ctx, 8, slice)
		return x.rate, err
	})
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: "done of 500 requests a second", Unit: "calls/s", Value: value, Yardstick: "8 clients, for 8 places", Of: of, Ratio: ratio, Target: ratioAtLeast(0.8)})
	p99 := spreadOf(slow)
	b.add(line{Case: "p99 of those", Unit: "ms", Value: p99.Median, Yardstick: "the function's own time", Of: 80, Ratio: spread{p99.Median / 80, p99.Low / 80, p99.High / 80}, Target: valueAtMost(1000)})
	return nil
}

// arrivals is what came of requests that did not wait for each other.
type arrivals struct {
	admitted []float64     // ms that those took which were not refused
	took     time.Duration // until the last answer
}

// arrive sends so many requests a second for d, whether they are answered or not, and waits for all answers. 503 is a refusal.
func (c *caller) arrive(ctx context.Context, rate int, d time.Duration) (a arrivals, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		tick = time.NewTicker(time.Second / time.Duration(rate))
	)
	begun := time.Now()
	defer tick.Stop()
	for range int(d.Seconds() * float64(rate)) {
		<-tick.C
		wg.Go(func() {
			sent := time.Now()
			status, _, failed := c.send(ctx)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case failed != nil:
				err = errors.Join(err, failed)
			case status == http.StatusOK:
				a.admitted = append(a.admitted, milliseconds(time.Since(sent)))
			case status != http.StatusServiceUnavailable:
				err = errors.Join(err, fmt.Errorf("POST %s: %d", c.url, status))
			}
		})
	}
	wg.Wait()
	a.took = time.Since(begun)
	return a, err
}
