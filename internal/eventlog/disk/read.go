package disk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

const (
	defaultReadRecords = 1000
	defaultReadBytes   = 4 << 20
)

// partition finds a partition. Off the committer it needs Log.view.
func (l *Log) partition(p eventlog.Partition) (*partition, error) {
	t := l.topics[p.Topic]
	if t == nil {
		return nil, eventlog.NoTopic(p.Topic)
	}
	if p.ID < 0 || int(p.ID) >= len(t.partitions) {
		return nil, eventlog.NoPartition(p, len(t.partitions))
	}
	part := t.partitions[p.ID]
	return part, part.damaged
}

// Read is eventlog.Log's.
func (l *Log) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.leave()
	part, err := l.read(p, &o)
	if err != nil {
		return nil, err
	}
	for {
		at, end, err := l.await(ctx, p, part, from, o.NoWait)
		if err != nil || at >= end && o.NoWait {
			return nil, err
		}
		records := make([]eventlog.Record, 0, max(0, min(int64(o.MaxRecords), end-at, 64)))
		err = l.readRange(part, at, end, o, false, func(r *eventlog.Record) { records = append(records, *r) })
		if err != nil {
			return nil, err
		}
		if len(records) > 0 {
			return records, nil
		}
		// All that was left up to the end has been compacted away.
		from = end
	}
}

// Lend is eventlog.Lender's. It copies nothing of what is stored.
func (l *Log) Lend(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions, each func(*eventlog.Record)) (n int, err error) {
	if err := l.enter(); err != nil {
		return 0, err
	}
	defer l.leave()
	part, err := l.read(p, &o)
	if err != nil {
		return 0, err
	}
	at, end, err := l.await(ctx, p, part, from, true)
	if err != nil || at >= end {
		return 0, err
	}
	err = l.readRange(part, at, end, o, true, func(r *eventlog.Record) { n++; each(r) })
	return n, err
}

// read finds what is to be read, and gives o its defaults.
func (l *Log) read(p eventlog.Partition, o *eventlog.ReadOptions) (*partition, error) {
	if o.MaxRecords <= 0 {
		o.MaxRecords = defaultReadRecords
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultReadBytes
	}
	l.view.RLock()
	defer l.view.RUnlock()
	part, err := l.partition(p)
	if err == nil && o.TopicID != "" && o.TopicID != part.topic.settings.ID {
		err = eventlog.AnotherTopic(p.Topic)
	}
	return part, err
}

// await gives the bounds of what there is from an offset on. It waits until that is something, or says with noWait that it is nothing.
func (l *Log) await(ctx context.Context, p eventlog.Partition, part *partition, from int64, noWait bool) (at, end int64, err error) {
	for {
		l.view.RLock()
		start, end, wake := part.start, part.end, part.wake
		if from >= end && !noWait {
			part.waited.Store(true)
		}
		l.view.RUnlock()
		select {
		case <-part.topic.gone:
			return 0, 0, eventlog.NoTopic(p.Topic)
		default:
		}
		if from < end || noWait {
			return max(from, start), end, nil
		}
		select {
		case <-wake:
		case <-part.topic.gone:
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("read %s/%d at %d: %w", p.Topic, p.ID, from, context.Cause(ctx))
		case <-l.closing:
			return 0, 0, eventlog.ErrClosed
		}
	}
}

// readRange decodes the records in [from, to), as many as o allows. One that is lent shares the store's memory and that of the one before it.
func (l *Log) readRange(p *partition, from, to int64, o eventlog.ReadOptions, lent bool, each func(*eventlog.Record)) error {
	it, err := l.db.NewIter(p.bounds(from, to))
	if err != nil {
		return fmt.Errorf("read %s/%d at %d: %w", p.topic.name, p.id, from, err)
	}
	r := eventlog.Record{Topic: p.topic.name, Partition: p.id}
	records, bytes := 0, 0
	for ok := it.First(); ok && records < o.MaxRecords; ok = it.Next() {
		stored, err := it.ValueAndErr()
		if err == nil {
			if bytes += len(stored); bytes > o.MaxBytes && records > 0 {
				break
			}
			if !lent {
				stored = slices.Clone(stored)
			}
			err = readRecord(stored, &r, lent)
		}
		if err != nil {
			it.Close()
			return fmt.Errorf("read %s/%d at %d: %w", p.topic.name, p.id, offsetOfKey(it.Key()), err)
		}
		r.Offset = offsetOfKey(it.Key())
		each(&r)
		records++
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read %s/%d at %d: %w", p.topic.name, p.id, from, err)
	}
	return nil
}

// Bounds is eventlog.Log's.
func (l *Log) Bounds(_ context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if err := l.enter(); err != nil {
		return eventlog.Bounds{}, err
	}
	defer l.leave()
	l.view.RLock()
	defer l.view.RUnlock()
	part, err := l.partition(p)
	if err != nil {
		return eventlog.Bounds{}, err
	}
	return eventlog.Bounds{Start: part.start, End: part.end}, nil
}

// OffsetAt is eventlog.Log's.
func (l *Log) OffsetAt(_ context.Context, p eventlog.Partition, t time.Time) (int64, error) {
	if err := l.enter(); err != nil {
		return 0, err
	}
	defer l.leave()
	l.view.RLock()
	part, err := l.partition(p)
	if err != nil {
		l.view.RUnlock()
		return 0, err
	}
	start, end := part.start, part.end
	l.view.RUnlock()
	// Record times are whole milliseconds: the first not before t is the first not before t rounded up.
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return part.offsetAt(l.db, start, end, ms)
}

// offsetAt finds the first record of [start, end) whose time is not before ms. The marks lead there by binary search:
// the first record whose mark is not before ms has such a time itself, unless the record that set the mark has been
// compacted away; then it is the next one that has.
func (p *partition) offsetAt(db *pebble.DB, start, end, ms int64) (int64, error) {
	it, err := db.NewIter(p.bounds(start, end))
	if err != nil {
		return 0, fmt.Errorf("search %s/%d by time: %w", p.topic.name, p.id, err)
	}
	defer it.Close()
	times := func() (at, mark int64, err error) {
		stored, err := it.ValueAndErr()
		if err != nil {
			return 0, 0, err
		}
		at, mark, _, err = recordTimes(stored)
		return at, mark, err
	}
	// All records below lo have a mark before ms; those from hi on have not, or there are none.
	lo, hi := start, end
	for lo < hi {
		mid := lo + (hi-lo)/2
		if !it.SeekGE(recordKey(p.topic.number, uint32(p.id), mid)) {
			if err := it.Error(); err != nil {
				return 0, fmt.Errorf("search %s/%d by time: %w", p.topic.name, p.id, err)
			}
			hi = mid
			continue
		}
		_, mark, err := times()
		if err != nil {
			return 0, fmt.Errorf("search %s/%d by time: %w", p.topic.name, p.id, err)
		}
		if mark >= ms {
			hi = mid
		} else {
			lo = offsetOfKey(it.Key()) + 1
		}
	}
	for ok := it.SeekGE(recordKey(p.topic.number, uint32(p.id), lo)); ok; ok = it.Next() {
		at, _, err := times()
		if err != nil {
			return 0, fmt.Errorf("search %s/%d by time: %w", p.topic.name, p.id, err)
		}
		if at >= ms {
			return offsetOfKey(it.Key()), nil
		}
	}
	if err := it.Error(); err != nil {
		return 0, fmt.Errorf("search %s/%d by time: %w", p.topic.name, p.id, err)
	}
	return end, nil
}
