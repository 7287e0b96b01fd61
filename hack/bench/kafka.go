package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// kafkaManifest: seen is timed; exact and loose emit an event each time, within the transaction of progress and before it.
const kafkaManifest = `
name: seen
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
triggers:
  - {name: seen, topic: events, filter: {type: [bench.seen]}}
---
name: noop
code: web
entry: {type: http, command: [./web], concurrency: 16}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.noop]}}
---
name: exact
code: web
entry: {type: http, command: [./web], concurrency: 16}
env: {EMIT: bench.out}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.exact]}, emit: {topic: events}}
---
name: loose
code: web
entry: {type: http, command: [./web], concurrency: 16}
env: {EMIT: bench.out}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: flow, topic: events, filter: {type: [bench.loose]}, emit: {topic: events}, effects: at-least-once}
`

// kafkaRow: a node on one Kafka broker against franz-go on the same broker, which produces and consumes the same records.
func kafkaRow(ctx context.Context, b *bench) error {
	found, err := broker.Find()
	if errors.Is(err, broker.ErrNotHere) {
		b.note("skipped: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	cluster, err := broker.Start(ctx, found, broker.Options{FullSpeed: true, Heap: "512m"})
	if err != nil {
		return err
	}
	b.atEnd(cluster.Close)
	web, err := b.program(ctx, "web")
	if err != nil {
		return err
	}
	url, p, err := plainServer(context.WithoutCancel(ctx), web)
	if err != nil {
		return err
	}
	b.atEnd(p.stop)
	k := &kafkaBench{bench: b, seeds: []string{cluster.Bootstrap()}, direct: newCaller(url)}
	if k.node, err = b.startNode(ctx, "kafka", "--log", "kafka://"+cluster.Bootstrap()); err != nil {
		return err
	}
	if err := b.deploy(ctx, k.node, "kafka", kafkaManifest); err != nil {
		return err
	}
	if err := k.prepare(ctx); err != nil {
		return err
	}
	defer k.plain.Close()
	// What ingest stores would still be read while the others are measured.
	for _, measure := range []func(context.Context) error{k.latency, k.throughput, k.effects, k.ingest} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

// What franz-go alone writes to and reads from, and what it writes of that.
const plainTopic, plainResults = "plain", "plain-results"

// How many events and records are in a batch.
const kafkaBatch = 100

// kafkaBench is a node on Kafka, and franz-go without one.
type kafkaBench struct {
	*bench
	node   *node
	seeds  []string
	plain  *kgo.Client // produces
	direct *caller     // the node's functions' program as an ordinary process
	sent   int
}

func (k *kafkaBench) prepare(ctx context.Context) (err error) {
	// Neither waits for more records than there are: latency is what is measured, and batches come as they are given.
	if k.plain, err = kgo.NewClient(kgo.SeedBrokers(k.seeds...), kgo.ProducerLinger(0)); err != nil {
		return fmt.Errorf("make a Kafka client: %w", err)
	}
	made, err := kadm.NewClient(k.plain).CreateTopics(ctx, 8, 1, nil, plainTopic, plainResults)
	if err = errors.Join(err, made.Error()); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return k.warm(ctx)
}

// warm has the broker do for some seconds what will be measured: it compiles what it does often, and takes ten times as long for a
// transaction until then.
func (k *kafkaBench) warm(ctx context.Context) error {
	if _, err := k.node.event("bench.warm").calls(ctx, 16, 3*time.Second); err != nil {
		return err
	}
	if _, err := atOnce(4, 5*time.Second, func() error { return k.emitBatch(ctx) }); err != nil {
		return err
	}
	for _, fn := range []string{"exact", "loose", "noop"} {
		if _, err := k.node.drainBy(ctx, fn, 3000, k.succeeded); err != nil {
			return err
		}
	}
	return nil
}

// emitBatch sends a batch of events to the node over HTTP.
func (k *kafkaBench) emitBatch(ctx context.Context) error {
	events := make([]*event.Event, kafkaBatch)
	for i := range events {
		events[i] = &event.Event{
			ID: event.NewID(), Source: "/bench", Type: "bench.taken", Time: time.Now(), DataContentType: "application/json", Data: payload(),
		}
	}
	_, err := k.node.client.Emit(ctx, "events", events)
	return err
}

// record is the event that callers send, as the log has it.
func record() *kgo.Record {
	e := &event.Event{ID: "0", Source: "/bench", Type: "bench.taken", Time: time.Now(), DataContentType: "application/json", Data: payload()}
	key, value, headers := e.ToRecord()
	r := &kgo.Record{Topic: plainTopic, Key: key, Value: value}
	for _, h := range headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	return r
}

// ingest: events over HTTP, each acknowledged when the broker has it, against the same records produced by as many goroutines.
func (k *kafkaBench) ingest(ctx context.Context) error {
	const callers, slice, turns = 64, 700 * time.Millisecond, 5
	send := k.node.event("bench.taken")
	s, err := inTurns(ctx, turns, func() (float64, error) {
		x, err := send.calls(ctx, callers, slice)
		return x.rate, err
	}, func() (float64, error) {
		x, err := atOnce(callers, slice, func() error { return k.plain.ProduceSync(ctx, record()).FirstErr() })
		return x.rate, err
	}, func() (float64, error) {
		x, err := atOnce(4, slice, func() error { return k.emitBatch(ctx) })
		return x.rate * kafkaBatch, err
	}, func() (float64, error) {
		x, err := atOnce(4, slice, func() error {
			records := make([]*kgo.Record, kafkaBatch)
			for i := range records {
				records[i] = record()
			}
			return k.plain.ProduceSync(ctx, records...).FirstErr()
		})
		return x.rate * kafkaBatch, err
	})
	if err != nil {
		return err
	}
	for i, name := range []string{"ingest over HTTP, 64 callers", "ingest over HTTP, 4 callers, 100 in a batch"} {
		value, of, ratio := s.against(2*i, 2*i+1)
		k.add(line{Case: name, Unit: "events/s", Value: value, Yardstick: "franz-go, produce", Of: of, Ratio: ratio})
	}
	return nil
}

// latency: from the moment that an event is sent to the moment that a function has it, against from the moment that a record is
// produced to the moment that a consumer has it.
func (k *kafkaBench) latency(ctx context.Context) error {
	const turns, events = 8, 40
	consumer, err := kgo.NewClient(kgo.SeedBrokers(k.seeds...), kgo.ConsumeTopics(plainTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return fmt.Errorf("make a Kafka client: %w", err)
	}
	defer consumer.Close()
	seen := make(chan time.Time, 1)
	reading, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for reading.Err() == nil {
			consumer.PollFetches(reading).EachRecord(func(*kgo.Record) {
				select {
				case seen <- time.Now():
				default:
				}
			})
		}
	}()
	defer func() { cancel(); <-done }()
	plain := func() (float64, error) {
		begun := time.Now()
		if err := k.plain.ProduceSync(ctx, record()).FirstErr(); err != nil {
			return 0, err
		}
		select {
		case at := <-seen:
			return milliseconds(at.Sub(begun)), nil
		case <-time.After(10 * time.Second):
			return 0, errors.New("the consumer did not get the record within 10 s")
		}
	}
	// The consumer stands at the end when it gets a record.
	for range 20 {
		if err := k.plain.ProduceSync(ctx, record()).FirstErr(); err != nil {
			return err
		}
		select {
		case <-seen:
		case <-time.After(500 * time.Millisecond):
			continue
		}
		break
	}
	var with, without []float64
	s, err := inTurns(ctx, turns, func() (float64, error) {
		took, err := k.arrivals(ctx, events)
		with = append(with, took...)
		return median(took), err
	}, func() (float64, error) {
		var took []float64
		for range events {
			ms, err := plain()
			if err != nil {
				return 0, err
			}
			took = append(took, ms)
		}
		without = append(without, took...)
		return median(took), nil
	})
	if err != nil {
		return err
	}
	_, of, ratio := s.against(0, 1)
	k.add(line{Case: "event to http function, p50", Unit: "ms", Value: median(with), Yardstick: "franz-go, produce to consumer", Of: of, Ratio: ratio})
	value, of := quantile(with, 0.99), quantile(without, 0.99)
	k.add(line{
		Case: "event to http function, p99", Unit: "ms", Value: value, Yardstick: "franz-go, produce to consumer", Of: of,
		Ratio: spread{value / of, value / of, value / of},
	})
	return nil
}

// arrivals sends events one by one and returns how long each took to its function, in ms.
func (k *kafkaBench) arrivals(ctx context.Context, n int) ([]float64, error) {
	from, first := time.Now(), k.sent
	send := k.node.event("bench.seen")
	sent := make([]time.Time, n)
	for i := range sent {
		send.header["Ce-Id"] = []string{fmt.Sprint(first + i)}
		sent[i] = time.Now()
		if _, err := send.call(ctx); err != nil {
			return nil, err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return nil, err
		}
	}
	k.sent += n
	received, err := k.node.receipts(ctx, receiptQuery{Function: "seen", Trigger: "seen", From: from.Format(time.RFC3339Nano), First: first, N: n})
	if err != nil {
		return nil, err
	}
	took := make([]float64, n)
	for i := range took {
		took[i] = milliseconds(received[i].Sub(sent[i]))
	}
	return took, nil
}

// throughput: events that wait in the log through a function that does nothing, against franz-go that consumes as many records, calls
// the same program for each, as many at a time, and produces a record for each.
func (k *kafkaBench) throughput(ctx context.Context) error {
	const turns, n = 4, 4000
	s, err := inTurns(ctx, turns, func() (float64, error) { return k.node.drainBy(ctx, "noop", n, k.succeeded) },
		func() (float64, error) { return k.consume(ctx, n) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	k.add(line{Case: "http, 16 at a time", Unit: "events/s", Value: value, Yardstick: "franz-go loop, same server", Of: of, Ratio: ratio})
	return nil
}

// consume produces n records, and returns how many a second are then consumed, called for and answered with a record.
func (k *kafkaBench) consume(ctx context.Context, n int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ends, err := kadm.NewClient(k.plain).ListEndOffsets(ctx, plainTopic)
	if err != nil {
		return 0, fmt.Errorf("list the ends of %s: %w", plainTopic, err)
	}
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = record()
	}
	if err := k.plain.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, err
	}
	begun := time.Now()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(k.seeds...), kgo.ConsumePartitions(ends.KOffsets()))
	if err != nil {
		return 0, fmt.Errorf("make a Kafka client: %w", err)
	}
	defer consumer.Close()
	work, answers := make(chan *kgo.Record, n), make(chan error, n)
	for range webConcurrency {
		go func() {
			for range work {
				if _, err := k.direct.call(ctx); err != nil {
					answers <- err
					continue
				}
				r := record()
				r.Topic = plainResults
				k.plain.Produce(ctx, r, func(_ *kgo.Record, err error) { answers <- err })
			}
		}()
	}
	defer close(work)
	for got := 0; got < n && ctx.Err() == nil; {
		consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if got++; got <= n {
				work <- r
			}
		})
	}
	for range n {
		select {
		case err := <-answers:
			if err != nil {
				return 0, err
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("consume %d records: %w", n, ctx.Err())
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

// effects: a function that emits an event each time, exactly once against at least once.
func (k *kafkaBench) effects(ctx context.Context) error {
	const turns, n = 4, 3000
	s, err := inTurns(ctx, turns, func() (float64, error) { return k.node.drainBy(ctx, "exact", n, k.succeeded) },
		func() (float64, error) { return k.node.drainBy(ctx, "loose", n, k.succeeded) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	k.add(line{Case: "http that emits, exactly once", Unit: "events/s", Value: value, Yardstick: "at least once", Of: of, Ratio: ratio})
	return nil
}

// succeeded counts the runs of a function's trigger flow: offsets on Kafka have gaps, so they do not tell.
func (k *kafkaBench) succeeded(ctx context.Context, fn string) (int64, error) {
	runs, err := k.node.metric(ctx, fmt.Sprintf(`dalamb_runs_total{function=%q,state="succeeded",trigger="flow"}`, fn))
	if errors.Is(err, errNoMetric) {
		return 0, nil // it comes with the first run
	}
	return int64(runs), err
}
