package kafka

import (
	"context"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Append is eventlog.Log's.
func (l *Log) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if ctx.Err() != nil {
		return nil, action(context.Cause(ctx), "append")
	}
	p, err := l.plan(ctx, records)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	if c := p.single(); c != nil {
		if err := l.lanes.store(ctx, l, c); err != nil {
			return nil, action(err, "append to %s", c.topic.name)
		}
		return p.positions(), nil
	}
	positions, err := l.txns.store(ctx, &txnCall{plan: p})
	return positions, action(err, "append")
}

// plan is a call's records, each with the partition where it goes. The records are the plan's own, their bytes the caller's.
type plan struct {
	records []*eventlog.Record
	topics  []*topic // by record
	size    int
}

// plan checks records and gives those a partition that have none.
func (l *Log) plan(ctx context.Context, records []eventlog.Record) (*plan, error) {
	p := &plan{records: make([]*eventlog.Record, len(records)), topics: make([]*topic, len(records))}
	turns := make(map[string]int32, 1)
	for i := range records {
		r := records[i]
		if n := recordSize(&r); n > eventlog.MaxRecord {
			return nil, fault.New(fault.TooLarge, "record %d for topic %s has %d bytes, the event log takes %d", i, r.Topic, n, eventlog.MaxRecord)
		}
		t, err := l.topic(ctx, r.Topic)
		if err != nil {
			return nil, err
		}
		if n := recordSize(&r); n+batchHead > t.maxBatch {
			return nil, fault.New(fault.TooLarge, "record %d has %d bytes, topic %s takes batches of %d", i, n, r.Topic, t.maxBatch).
				WithHint("raise the topic's max.message.bytes")
		}
		if t.compact && r.Key == nil {
			return nil, eventlog.NeedsKey(i, r.Topic)
		}
		switch {
		case r.Partition != eventlog.AnyPartition:
			if t, err = l.partition(ctx, eventlog.Partition{Topic: r.Topic, ID: r.Partition}); err != nil {
				return nil, err
			}
		case r.Key != nil:
			r.Partition = eventlog.PartitionFor(r.Key, int32(len(t.leaders)))
		default:
			// All of a call that may go anywhere goes to one place; the next call takes the next.
			n, ok := turns[t.name]
			if !ok {
				n = int32(l.turn.Add(1) % uint32(len(t.leaders)))
				turns[t.name] = n
			}
			r.Partition = n
		}
		p.records[i], p.topics[i] = &r, t
		p.size += recordSize(&r)
	}
	if p.size > eventlog.MaxCall {
		return nil, fault.New(fault.TooLarge, "%d records have %d bytes, one call to the event log takes %d", len(records), p.size, eventlog.MaxCall)
	}
	return p, nil
}

// single returns the plan as a call that one batch holds, or nil.
func (p *plan) single() *call {
	first := p.records[0]
	for i, r := range p.records {
		if p.topics[i].id != p.topics[0].id || r.Partition != first.Partition {
			return nil
		}
	}
	if len(p.records) > 1 && p.size+batchHead > min(p.topics[0].maxBatch, defaultBatch) {
		return nil
	}
	return &call{topic: p.topics[0], records: p.records, size: p.size, done: make(chan struct{})}
}

// positions says where the records are, when they are stored.
func (p *plan) positions() []eventlog.Position {
	ps := make([]eventlog.Position, len(p.records))
	for i, r := range p.records {
		ps[i] = eventlog.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	}
	return ps
}
