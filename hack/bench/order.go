package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// What the order row runs.
const (
	orderEvents      = 10_000
	orderConcurrency = 100
	orderLongest     = 5 * time.Millisecond
)

// orderRow: ten thousand events of one partition through a function that sleeps for up to 5 ms, a hundred at a time, by how many keys
// they have, against the ideal: goroutines in this process that keep the same order and sleep the same times, and store nothing.
func orderRow(ctx context.Context, b *bench) error {
	sleeps := make([]time.Duration, orderEvents)
	dice := rand.New(rand.NewPCG(1, 2)) // the same times in every run
	for i := range sleeps {
		sleeps[i] = time.Duration(dice.Int64N(int64(orderLongest)))
	}
	for _, keys := range []int{1, 10, 100, 1000, 0} {
		turns := 3
		if keys == 1 {
			turns = 1 // half a minute each
		}
		s, err := inTurns(ctx, turns, func() (float64, error) {
			took, err := ordered(ctx, b, keys, sleeps)
			return took.Seconds(), err
		}, func() (float64, error) { return ideal(keys, sleeps).Seconds(), nil })
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d keys", keys)
		if keys == 0 {
			name = "unordered"
		}
		value, of, ratio := s.against(0, 1)
		b.add(line{Case: name, Unit: "s", Value: value, Yardstick: "ideal schedule", Of: of, Ratio: ratio, Target: ratioAtMost(1.3)})
	}
	return nil
}

// ordered is how long dispatch takes.
func ordered(ctx context.Context, b *bench, keys int, sleeps []time.Duration) (took time.Duration, err error) {
	in, err := newInside(ctx, b, 1)
	if err != nil {
		return 0, err
	}
	t := function.Trigger{Name: "t", Order: function.OrderKey}
	if keys == 0 {
		t.Order = function.OrderNone
	}
	err = in.deploy(ctx, "f", orderConcurrency, t)
	if err == nil {
		err = in.fill(ctx, len(sleeps), func(i int) *event.Event {
			e := &event.Event{ID: strconv.Itoa(i), Source: "/bench", Type: "x"}
			if keys > 0 {
				e.Subject = strconv.Itoa(i % keys)
			}
			return e
		})
	}
	if err == nil {
		took, err = in.run(ctx, len(sleeps), func(e *event.Event) {
			i, _ := strconv.Atoi(e.ID) // as it was made
			time.Sleep(sleeps[i])
		})
	}
	if closeErr := in.close(); err == nil {
		err = closeErr
	}
	return took, err
}

// ideal is how long the same takes where only the order and the concurrency hold anything up.
func ideal(keys int, sleeps []time.Duration) time.Duration {
	queues := max(keys, 1)
	if keys == 0 {
		queues = len(sleeps)
	}
	byKey := make([][]time.Duration, queues)
	for i, d := range sleeps {
		byKey[i%queues] = append(byKey[i%queues], d)
	}
	slots := make(chan struct{}, orderConcurrency)
	var all sync.WaitGroup
	begun := time.Now()
	for _, queue := range byKey {
		all.Go(func() {
			for _, d := range queue {
				slots <- struct{}{}
				time.Sleep(d)
				<-slots
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}
