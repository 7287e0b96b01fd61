package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/need"
)

const benchBytes = 512

// rate is how many records a second some writers store, each with calls of batch records. The first error ends the benchmark.
func rate(b *testing.B, writers, batch int, store func(ctx context.Context, n int) error) float64 {
	b.Helper()
	var (
		done   atomic.Int64
		failed atomic.Pointer[error]
		group  sync.WaitGroup
	)
	began := time.Now()
	until := began.Add(time.Second)
	for range writers {
		group.Go(func() {
			for time.Now().Before(until) && failed.Load() == nil {
				if err := store(b.Context(), batch); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(int64(batch))
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return float64(done.Load()) / time.Since(began).Seconds()
}

// BenchmarkAppend stores records of 512 bytes on 8 partitions. The yardstick is franz-go's producer on the same broker in the same
// minute, idempotent, without linger, waiting for each call's acknowledgement.
//
//	go test ./internal/eventlog/kafka -run '^$' -bench . -benchtime 1x
func BenchmarkAppend(b *testing.B) {
	brokers := need.Kafka(b)
	l := open(b, node(brokers, "n-"+event.NewID()))
	bare := foreign(b, brokers, kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	topic := newTopic(b, l, eventlog.Topic{Partitions: 8})
	value := make([]byte, benchBytes)
	var turn atomic.Int32
	ours := func(ctx context.Context, n int) error {
		rs := make([]eventlog.Record, n)
		p := turn.Add(1) % 8
		for i := range rs {
			rs[i] = eventlog.Record{Topic: topic, Partition: p, Value: value}
		}
		_, err := l.Append(ctx, rs)
		return err
	}
	theirs := func(ctx context.Context, n int) error {
		rs := make([]*kgo.Record, n)
		p := turn.Add(1) % 8
		for i := range rs {
			rs[i] = &kgo.Record{Topic: topic, Partition: p, Value: value}
		}
		return bare.ProduceSync(ctx, rs...).FirstErr()
	}
	rate(b, 8, 10, ours) // the broker compiles what it does often
	rate(b, 8, 10, theirs)
	for _, c := range []struct{ writers, batch int }{{1, 1}, {64, 1}, {1024, 1}, {1, 100}, {64, 100}} {
		b.Run(fmt.Sprintf("writers=%d/batch=%d", c.writers, c.batch), func(b *testing.B) {
			var a, z []float64
			for b.Loop() {
				for range 3 {
					a, z = append(a, rate(b, c.writers, c.batch, ours)), append(z, rate(b, c.writers, c.batch, theirs))
				}
			}
			report(b, median(a), median(z), "records/s")
		})
	}
}

// BenchmarkTransaction stores one record on each of two partitions, atomically. The yardstick is franz-go's transactional producer.
func BenchmarkTransaction(b *testing.B) {
	brokers := need.Kafka(b)
	l := open(b, node(brokers, "n-"+event.NewID()))
	topic := newTopic(b, l, eventlog.Topic{Partitions: 2})
	bare := foreign(b, brokers, kgo.ProducerLinger(0), kgo.TransactionalID("x-"+topic), kgo.ConcurrentTransactionsBackoff(time.Millisecond))
	value := make([]byte, benchBytes)
	ours := func(ctx context.Context, _ int) error {
		_, err := l.Append(ctx, []eventlog.Record{{Topic: topic, Value: value}, {Topic: topic, Partition: 1, Value: value}})
		return err
	}
	theirs := func(ctx context.Context, _ int) error {
		if err := bare.BeginTransaction(); err != nil {
			return err
		}
		if err := bare.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}, &kgo.Record{Topic: topic, Partition: 1, Value: value}).FirstErr(); err != nil {
			return err
		}
		return bare.EndTransaction(ctx, kgo.TryCommit)
	}
	b.Run("writers=1", func(b *testing.B) {
		var a, z []float64
		for b.Loop() {
			for range 3 {
				a, z = append(a, rate(b, 1, 1, ours)), append(z, rate(b, 1, 1, theirs))
			}
		}
		report(b, median(a), median(z), "calls/s")
	})
	b.Run("writers=64", func(b *testing.B) {
		var a []float64
		for b.Loop() {
			a = append(a, rate(b, 64, 1, ours))
		}
		b.ReportMetric(median(a), "calls/s")
	})
}

// BenchmarkTail is the time from before an append to a waiting reader's having it. The yardstick is a consumer of franz-go's.
func BenchmarkTail(b *testing.B) {
	brokers := need.Kafka(b)
	l := open(b, node(brokers, "n-"+event.NewID()))
	topic := newTopic(b, l, eventlog.Topic{Partitions: 1})
	bare := foreign(b, brokers, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	const each = 500
	var a, z []float64
	for b.Loop() {
		var ours, theirs [each]time.Duration
		var readers sync.WaitGroup
		var got sync.WaitGroup
		at, err := l.Bounds(b.Context(), eventlog.Partition{Topic: topic})
		if err != nil {
			b.Fatal(err)
		}
		var began atomic.Int64
		readers.Go(func() {
			for i, from := 0, at.End; i < each; {
				rs, err := l.Read(b.Context(), eventlog.Partition{Topic: topic}, from, eventlog.ReadOptions{})
				if err != nil {
					b.Error(err)
					return
				}
				for _, r := range rs {
					ours[i] = time.Since(time.Unix(0, began.Load()))
					i, from = i+1, r.Offset+1
					got.Done()
				}
			}
		})
		readers.Go(func() {
			for i := 0; i < each; {
				bare.PollFetches(b.Context()).EachRecord(func(*kgo.Record) {
					theirs[i] = time.Since(time.Unix(0, began.Load()))
					i++
					got.Done()
				})
			}
		})
		for range each {
			got.Add(2)
			began.Store(time.Now().UnixNano())
			mustAppend(b, l, rec(topic, 0, "v"))
			got.Wait()
		}
		readers.Wait()
		slices.Sort(ours[:])
		slices.Sort(theirs[:])
		a, z = append(a, ours[each/2].Seconds()*1e6), append(z, theirs[each/2].Seconds()*1e6)
		b.ReportMetric(ours[each*99/100].Seconds()*1e6, "p99-us")
		b.ReportMetric(theirs[each*99/100].Seconds()*1e6, "franz-go-p99-us")
	}
	report(b, median(a), median(z), "p50-us")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// report shows a figure, the yardstick's and how many times the yardstick's it is.
func report(b *testing.B, ours, theirs float64, unit string) {
	b.ReportMetric(ours, unit)
	b.ReportMetric(theirs, "franz-go-"+unit)
	b.ReportMetric(ours/theirs, "x")
	b.ReportMetric(0, "ns/op")
}
