package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// counter is a no-op function that tells when it has run n times.
type counter struct {
	n    atomic.Int64
	want int64
	done chan struct{}
	of   func(c fleet.Call) int64 // how many events an invocation has; nil = one
}

func (c *counter) Invoke(_ context.Context, call fleet.Call) (*function.Result, error) {
	n := int64(1)
	if c.of != nil {
		n = c.of(call)
	}
	if now := c.n.Add(n); now >= c.want && now-n < c.want {
		close(c.done)
	}
	return &function.Result{Outcome: function.Succeeded, Version: 1, Status: 200}, nil
}

func fill(b *testing.B, w *world, n int, typ func(i int) string) {
	b.Helper()
	for i := 0; i < n; {
		var es []*event.Event
		for ; len(es) < 1000 && i < n; i++ {
			es = append(es, newEvent(fmt.Sprint(i), typ(i), fmt.Sprint(i)))
		}
		w.append("events", es...)
	}
}

// BenchmarkThroughput runs a no-op function for each event of the log, on a real disk with fsync. The yardstick is to read the same
// events from the log and decode them, in the same minute.
func BenchmarkThroughput(b *testing.B) {
	w := newWorld(b, setting{partitions: 8, dir: b.TempDir()})
	defer w.close()
	w.deployMax("f", 64, function.Trigger{Name: "t"})
	fill(b, w, b.N, func(int) string { return "x" })
	began := time.Now()
	for _, r := range w.records("events") {
		if _, err := eventlog.ToEvent(r); err != nil {
			b.Fatal(err)
		}
	}
	read := time.Since(began)
	c := &counter{want: int64(b.N), done: make(chan struct{})}
	b.ReportAllocs()
	b.ResetTimer()
	w.node(c)
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(b.Elapsed().Seconds()/read.Seconds(), "x-of-reading")
}

// BenchmarkLatency is the time from before an append to the function's begin, one event at a time, with fsync. The yardstick is the
// append alone.
func BenchmarkLatency(b *testing.B) {
	w := newWorld(b, setting{partitions: 8, dir: b.TempDir()})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t"})
	began := make(chan time.Time, 1)
	w.node(play(func(context.Context, fleet.Call) (*function.Result, error) {
		began <- time.Now()
		return &function.Result{Outcome: function.Succeeded, Version: 1, Status: 200}, nil
	}))
	one := func(i int) (all, appended time.Duration) {
		start := time.Now()
		w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i)))
		appended = time.Since(start)
		return (<-began).Sub(start), appended
	}
	for i := range 16 { // the first event of each partition opens it
		one(i)
	}
	var all, appends []time.Duration
	b.ResetTimer()
	for i := range b.N {
		a, p := one(i)
		all, appends = append(all, a), append(appends, p)
	}
	b.StopTimer()
	slices.Sort(all)
	slices.Sort(appends)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(appends[len(all)/2].Microseconds()), "append-p50-µs")
}

// BenchmarkTriggers is the cost of an event that one of many triggers matches.
func BenchmarkTriggers(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, setting{partitions: 2})
			defer w.close()
			const most = 500 // triggers of one function
			for i := 0; i < n; {
				var ts []function.Trigger
				for ; len(ts) < most && i < n; i++ {
					ts = append(ts, function.Trigger{Name: fmt.Sprintf("t%d", i), Filter: fmt.Appendf(nil, `{"type":["x%d"]}`, i)})
				}
				w.deployMax(fmt.Sprintf("f%d", i/most), 64, ts...)
			}
			fill(b, w, b.N, func(int) string { return "x0" })
			c := &counter{want: int64(b.N), done: make(chan struct{})}
			b.ReportAllocs()
			b.ResetTimer()
			w.node(c)
			<-c.done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkStuckTrigger offers events to a trigger that never finishes one and to one that is fast. It shows how much memory the
// pending events hold; that does not grow with their number.
func BenchmarkStuckTrigger(b *testing.B) {
	w := newWorld(b, setting{partitions: 2, options: Options{Drain: time.Millisecond}})
	defer w.close()
	w.deploy("stuck", function.Trigger{Name: "t"})
	w.deployMax("fast", 64, function.Trigger{Name: "t"})
	fast := &counter{want: int64(b.N), done: make(chan struct{})}
	n := w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "stuck" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return fast.Invoke(ctx, c)
	}))
	b.ResetTimer()
	fill(b, w, b.N, func(int) string { return "x" })
	<-fast.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n.d.budget.held.Load())/1024, "held-KiB")
	b.ReportMetric(float64(lagOf(n.d, "stuck").Pending), "pending")
}

// BenchmarkBatches is BenchmarkThroughput in batches of 100.
func BenchmarkBatches(b *testing.B) {
	w := newWorld(b, setting{partitions: 8, dir: b.TempDir()})
	defer w.close()
	w.deployMax("f", 4, function.Trigger{Name: "t", Batch: batchOf(100)})
	fill(b, w, b.N, func(int) string { return "x" })
	c := &counter{want: int64(b.N), done: make(chan struct{}), of: func(c fleet.Call) int64 {
		return int64(bytes.Count(c.Invocation.Payload, []byte(`"specversion"`)))
	}}
	b.ReportAllocs()
	b.ResetTimer()
	w.node(c)
	<-c.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
