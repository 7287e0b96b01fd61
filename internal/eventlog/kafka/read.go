package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	defaultReadRecords = 1000
	defaultReadBytes   = 4 << 20
	// recordGuess is how large a record is taken to be, so that who wants few is not sent many.
	recordGuess = 16 << 10
)

// Read is eventlog.Log's. What lies behind is fetched; at the end readers wait together at the tail.
func (l *Log) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if o.MaxRecords <= 0 {
		o.MaxRecords = defaultReadRecords
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultReadBytes
	}
	r := reader{log: l, p: p, o: o, from: max(from, 0), end: -1, seen: o.TopicID}
	for {
		records, err := r.read(ctx)
		if err != nil {
			return nil, action(l.failure(err), "read %s/%d at %d", p.Topic, p.ID, from)
		}
		// Who stood past the end waits at the end, and for nothing below.
		for len(records) > 0 && records[0].Offset < from {
			r.from = records[0].Offset + 1
			records = records[1:]
		}
		if len(records) > 0 || o.NoWait {
			return trim(records, o), nil
		}
	}
}

// trim keeps as many records as a reader wants, and at least one.
func trim(records []eventlog.Record, o eventlog.ReadOptions) []eventlog.Record {
	n := min(len(records), o.MaxRecords)
	bytes := 0
	for i := range records[:n] {
		if bytes += recordSize(&records[i]); bytes > o.MaxBytes && i > 0 {
			return records[:i:i]
		}
	}
	return records[:n:n]
}

// reader is one Read.
type reader struct {
	log  *Log
	p    eventlog.Partition
	o    eventlog.ReadOptions
	from int64  // rises past what is no record
	end  int64  // the partition's end as it was during the call, -1 = not asked for yet; of NoWait alone
	held int    // how often an open transaction has held back what came after it
	seen string // the ID of the topic that it reads; "" = it has seen none yet
}

func (r *reader) read(ctx context.Context) ([]eventlog.Record, error) {
	for n := 0; ; n++ {
		t, err := r.topic(ctx)
		if err != nil {
			return nil, err
		}
		records, wake := r.log.tail.take(t.place(r.p.ID), r.from, r.o)
		if len(records) > 0 {
			return records, nil
		}
		if wake != nil && !r.o.NoWait {
			r.seen = t.text
			if err := r.log.tail.wait(ctx, t.place(r.p.ID), wake); err != nil {
				return nil, err
			}
			continue
		}
		records, done, err := r.fetch(ctx, t)
		switch {
		case err == nil && (done || len(records) > 0):
			return records, nil
		case err == nil:
			r.seen = t.text
			n = -1
		case !passes(err), n > 8:
			return nil, err
		default:
			if err := pause(ctx, n); err != nil {
				return nil, err
			}
			r.log.meet(ctx, r.log.client)
			if _, err := r.log.refresh(ctx, r.p.Topic); err != nil {
				return nil, err
			}
		}
	}
}

// topic is the one that the reader reads. What is known of it may be old: another one is asked for before it is said to be that.
func (r *reader) topic(ctx context.Context) (*topic, error) {
	t, err := r.log.partition(ctx, r.p)
	if err != nil || r.seen == "" || r.seen == t.text {
		return t, err
	}
	if t, err = r.log.refresh(ctx, r.p.Topic); err != nil {
		return nil, err
	}
	if r.seen != t.text {
		return nil, eventlog.AnotherTopic(r.p.Topic)
	}
	return t, t.check(r.p.ID)
}

// fetch looks once for what the reader wants. done says that there is nothing and the reader does not wait.
func (r *reader) fetch(ctx context.Context, t *topic) (records []eventlog.Record, done bool, err error) {
	bytes := int32(min(r.o.MaxBytes, max(64<<10, r.o.MaxRecords*recordGuess), 32<<20))
	o := fetchOptions{broker: t.leaders[r.p.ID], bytes: bytes, partition: bytes}
	out, err := r.log.fetch(ctx, r.log.client, o, []want{{t, r.p.ID, r.from}})
	if err != nil {
		return nil, false, err
	}
	f := out[0]
	switch {
	case errors.Is(f.err, kerr.OffsetOutOfRange):
		return nil, false, r.clamp(ctx, t)
	case f.err != nil:
		return nil, false, f.err
	case len(f.records) > 0:
		return f.records, false, nil
	case f.next > r.from:
		r.from = f.next
		return nil, false, nil
	case !r.o.NoWait:
		r.log.tail.follow(t, r.p.ID, r.from)
		return nil, false, nil
	}
	return r.nothing(ctx, t, f.stable)
}

// nothing says whether a reader that does not wait has seen all that was there when it began. An open transaction holds
// back what came after it, until it ends.
func (r *reader) nothing(ctx context.Context, t *topic, stable int64) ([]eventlog.Record, bool, error) {
	if r.end < 0 {
		end, err := r.log.offset(ctx, t, r.p.ID, latest)
		if err != nil {
			return nil, false, err
		}
		r.end = end
	}
	if r.from >= r.end || stable >= r.end {
		return nil, true, nil
	}
	// A fetch does not wake up when a transaction ends that was aborted, so that it is no use to wait in one.
	r.held++
	return nil, false, pause(ctx, min(r.held, 4))
}

// clamp moves a reader that stands outside of what the partition holds to its nearest end.
func (r *reader) clamp(ctx context.Context, t *topic) error {
	start, err := r.log.offset(ctx, t, r.p.ID, earliest)
	if err != nil {
		return err
	}
	end, err := r.log.offset(ctx, t, r.p.ID, latest)
	if err != nil {
		return err
	}
	r.from = min(max(r.from, start), end)
	return nil
}

// Kafka's stand-ins for a time.
const (
	latest   = -1
	earliest = -2
)

// offset asks a partition's leader for the offset of a time, or of a stand-in for one. -1 = there is none.
func (l *Log) offset(ctx context.Context, t *topic, id int32, at int64) (int64, error) {
	for n := 0; ; n++ {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = t.name
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = id, at
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		r, err := l.client.Broker(int(t.leaders[id])).Request(ctx, req)
		if err == nil {
			p := r.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
			if err = kerr.ErrorForCode(p.ErrorCode); err == nil {
				return p.Offset, nil
			}
		}
		if n > 8 || !passes(err) {
			return 0, l.failure(err)
		}
		if err := pause(ctx, n); err != nil {
			return 0, err
		}
		now, err := l.refresh(ctx, t.name)
		if err != nil {
			return 0, err
		}
		if now.id != t.id {
			return 0, eventlog.AnotherTopic(t.name)
		}
		t = now
	}
}

// Bounds is eventlog.Log's. The end counts what is in an open transaction too: nobody has read it, and nobody will get its offset.
func (l *Log) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return eventlog.Bounds{}, err
	}
	defer leave()
	return l.bounds(ctx, p)
}

func (l *Log) bounds(ctx context.Context, p eventlog.Partition) (b eventlog.Bounds, err error) {
	t, err := l.partition(ctx, p)
	if err != nil {
		return b, err
	}
	// One answer cannot hold both, and both are asked for at once.
	var both errgroup.Group
	both.Go(func() (err error) { b.Start, err = l.offset(ctx, t, p.ID, earliest); return err })
	both.Go(func() (err error) { b.End, err = l.offset(ctx, t, p.ID, latest); return err })
	err = both.Wait()
	// The start may have moved in between, to an end that was not there yet.
	b.Start = min(b.Start, b.End)
	return b, err
}

// OffsetAt is eventlog.Log's. Kafka's answer may be the end of a transaction or a record that was aborted: the first real
// record from there on counts.
func (l *Log) OffsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	return l.offsetAt(ctx, p, t)
}

func (l *Log) offsetAt(ctx context.Context, p eventlog.Partition, t time.Time) (int64, error) {
	tp, err := l.partition(ctx, p)
	if err != nil {
		return 0, err
	}
	// Record times are whole milliseconds: the first not before t is the first not before t rounded up.
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	ms = max(ms, 0) // below, numbers mean something else
	from, err := l.offset(ctx, tp, p.ID, ms)
	if err != nil {
		return 0, err
	}
	for from >= 0 {
		r := reader{log: l, p: p, o: eventlog.ReadOptions{MaxRecords: defaultReadRecords, MaxBytes: defaultReadBytes, NoWait: true}, from: from, end: -1}
		records, err := r.read(ctx)
		if err != nil {
			return 0, l.failure(err)
		}
		if len(records) == 0 {
			break
		}
		for _, rec := range records {
			if rec.Time.UnixMilli() >= ms {
				return rec.Offset, nil
			}
		}
		from = records[len(records)-1].Offset + 1
	}
	return l.offset(ctx, tp, p.ID, latest)
}

// gone says whether an error means that a topic is not there any more.
func gone(err error) bool { return fault.KindOf(err) == fault.NotFound }
