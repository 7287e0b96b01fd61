package disk

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Sweep does at once, and in full, what the log does by itself from time to time: it looks at the room on the disk,
// removes what is past its topic's retention, compacts, and where room is low has Pebble give back what removed records
// take. One sweep runs at a time.
func (l *Log) Sweep(ctx context.Context) error { return l.sweep(ctx, true) }

// sweep with all set compacts whatever can be, otherwise only where it is worth a pass. Digests come last, and without the token: they make searches faster, and
// what is to be removed, or erased, must not wait for them.
func (l *Log) sweep(ctx context.Context, all bool) error {
	err := l.tidy(ctx, all)
	if ctx.Err() != nil {
		return err
	}
	most := int64(digestBytes)
	if all {
		most = math.MaxInt64
	}
	return errors.Join(err, l.makeDigests(ctx, most))
}

// tidy is the part of a sweep that removes.
func (l *Log) tidy(ctx context.Context, all bool) error {
	leave, err := l.enterSweep(ctx)
	if err != nil {
		return err
	}
	defer leave()
	err = errors.Join(l.lookAtSpace(), l.dropOrphans(ctx))
	for _, w := range l.swept() {
		if w.settings.Compact {
			for _, p := range w.parts {
				err = errors.Join(err, unlessGone(l.compact(ctx, p, all)))
			}
		}
		err = errors.Join(err, unlessGone(l.expire(ctx, w.settings, w.parts)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(err, l.forget(ctx), l.reclaimOrLeave(ctx))
}

// enterSweep begins what must not run beside a sweep, which would remove, and count, the same records.
func (l *Log) enterSweep(ctx context.Context) (leave func(), err error) {
	select {
	case l.sweeps <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := l.enter(); err != nil {
		<-l.sweeps
		return nil, err
	}
	return func() {
		l.leave()
		<-l.sweeps
	}, nil
}

// unlessGone forgives that a topic was deleted while it was swept.
func unlessGone(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// topicView is a topic as it was at one moment.
type topicView struct {
	settings eventlog.Topic
	parts    []*partition
}

func (l *Log) swept() []topicView {
	l.view.RLock()
	defer l.view.RUnlock()
	views := make([]topicView, 0, len(l.topics))
	for _, t := range l.topics {
		views = append(views, topicView{t.settings, t.partitions})
	}
	return views
}

// seen returns what readers see of a partition.
func (l *Log) seen(p *partition) eventlog.Bounds {
	l.view.RLock()
	defer l.view.RUnlock()
	return eventlog.Bounds{Start: p.start, End: p.end}
}

// expire removes what is too old, then, over all partitions, the oldest of what is too much.
func (l *Log) expire(ctx context.Context, t eventlog.Topic, ps []*partition) error {
	if t.Retention != eventlog.Forever {
		cutoff := l.now().Add(-t.Retention).UnixMilli()
		for _, p := range ps {
			b := l.seen(p)
			to, err := p.offsetAt(l.db, b.Start, b.End, cutoff)
			if err != nil {
				return err
			}
			if err := l.trim(ctx, p, b.Start, to); err != nil {
				return err
			}
		}
	}
	if t.MaxBytes == eventlog.Forever {
		return nil
	}
	excess := -t.MaxBytes
	for _, p := range ps {
		excess += p.bytes.Load()
	}
	if excess <= 0 {
		return nil
	}
	tos, err := l.oldest(ps, excess)
	if err != nil {
		return err
	}
	for i, p := range ps {
		if err := l.trim(ctx, p, l.seen(p).Start, tos[i]); err != nil {
			return err
		}
	}
	return nil
}

// oldest returns for each partition the offset below which its records belong to the oldest of all partitions that
// together have at least that many bytes.
func (l *Log) oldest(ps []*partition, bytes int64) (tos []int64, err error) {
	its := make([]*pebble.Iterator, len(ps))
	heads := make([]int64, len(ps)) // the mark of the record that each iterator stands on
	tos = make([]int64, len(ps))
	defer func() {
		for _, it := range its {
			if it != nil {
				err = errors.Join(err, it.Close())
			}
		}
	}()
	for i, p := range ps {
		b := l.seen(p)
		tos[i] = b.Start
		if its[i], err = l.db.NewIter(p.bounds(b.Start, b.End)); err != nil {
			return nil, fmt.Errorf("scan %s/%d: %w", p.topic.name, p.id, err)
		}
		its[i].First()
	}
	for bytes > 0 {
		first := -1
		for i, it := range its {
			if !it.Valid() {
				continue
			}
			stored, err := it.ValueAndErr()
			if err != nil {
				return nil, fmt.Errorf("scan %s/%d: %w", ps[i].topic.name, ps[i].id, err)
			}
			if _, heads[i], _, err = recordTimes(stored); err != nil {
				return nil, fmt.Errorf("scan %s/%d: %w", ps[i].topic.name, ps[i].id, err)
			}
			if first < 0 || heads[i] < heads[first] {
				first = i
			}
		}
		if first < 0 {
			return tos, nil
		}
		it := its[first]
		stored, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("scan %s/%d: %w", ps[first].topic.name, ps[first].id, err)
		}
		bytes -= int64(len(stored))
		tos[first] = offsetOfKey(it.Key()) + 1
		it.Next()
	}
	return tos, nil
}

// trim removes the records below an offset.
func (l *Log) trim(ctx context.Context, p *partition, from, to int64) error {
	if to <= from {
		return nil
	}
	r := &removal{log: l, p: p, start: to, from: from}
	err := p.scan(l.db, from, to, func(_ int64, stored []byte) error {
		r.bytes += int64(len(stored))
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := l.do(ctx, r); err != nil {
		return fmt.Errorf("remove %s/%d below %d: %w", p.topic.name, p.id, to, err)
	}
	l.log.Debug("removed records", "topic", p.topic.name, "partition", p.id, "offset", to, "bytes", r.bytes)
	return nil
}

// removal takes records out of a partition: all below start, and single ones.
type removal struct {
	log     *Log
	p       *partition
	from    int64   // the first offset that start removes
	start   int64   // the partition's new start; 0 = as it is
	offsets []int64 // single records
	bytes   int64   // stored size of all that goes
	cleaned int64   // compaction has seen all below; 0 = as it is
	trims   bool    // start moves
}

func (r *removal) alone() bool { return false }
func (r *removal) size() int   { return len(r.offsets) * recordKeyLen }

func (r *removal) build(g *group) error {
	p := r.p
	if r.log.numbers[p.topic.number] != p.topic {
		return eventlog.NoTopic(p.topic.name)
	}
	number, id := p.topic.number, uint32(p.id)
	for _, o := range r.offsets {
		if err := g.batch.Delete(recordKey(number, id, o), nil); err != nil {
			return err
		}
	}
	if r.start > p.w.start {
		if err := g.batch.DeleteRange(recordKey(number, id, r.from), recordKey(number, id, r.start), nil); err != nil {
			return err
		}
		p.w.start = r.start
		r.trims = true
		p.dropDigests(g, r.from, r.start)
	}
	p.w.bytes -= r.bytes
	p.w.cleaned = max(p.w.cleaned, r.cleaned)
	// The end outlives the records, and the count must be durable with them.
	p.saveState(g)
	g.touch(p)
	return nil
}

func (r *removal) publish() {
	if r.trims {
		number, id := r.p.topic.number, uint32(r.p.id)
		r.log.freed.add(recordKey(number, id, r.from), recordKey(number, id, r.start), r.bytes)
	}
	r.p.start = max(r.p.start, r.start)
	r.p.cleaned.Store(max(r.p.cleaned.Load(), r.cleaned))
}
