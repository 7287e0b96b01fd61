package disk

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// digestBytes is about how much of the log one sweep reads to make digests of, a second's work. A log that was written before there were any is caught up with
// that much a minute.
const digestBytes = 64 << 20

// digest takes a record that is added into the digest of its block, and puts that into the group with the last one. Compacted topics have none: what is
// removed from the midst of a block would stay in its digest.
func (p *partition) digest(g *group, r *eventlog.Record) {
	if p.topic.settings.Compact {
		return
	}
	at := p.w.next % blockRecords
	if at == 0 {
		p.block = &digest{}
	}
	if p.block == nil {
		return
	}
	p.block.add(r)
	if at != blockRecords-1 {
		return
	}
	// What was removed is in no digest, also where it was removed before its block was whole.
	if block := p.w.next / blockRecords; p.w.start <= block*blockRecords {
		p.block.put(g.batch, p, block)
	}
	p.block = nil
}

func (d *digest) add(r *eventlog.Record) {
	if r.Key != nil {
		if d.keys == nil {
			d.keys = new(keySet)
		}
		d.keys.add(hashKey(r.Key))
	}
	d.types.add(eventlog.TypeIn(r))
}

func (d *digest) put(b *pebble.Batch, p *partition, block int64) {
	number, id := p.topic.number, uint32(p.id)
	// Set fails on a closed or oversized batch alone, and it panics then.
	row := digestKey(number, id, digestTypes, block)
	_ = b.Set(row, d.types.encode(row), nil)
	row = digestKey(number, id, digestKeys, block)
	_ = b.Set(row, d.keys.encode(row), nil)
}

// dropDigests puts the removal of the digests of what goes with a new start into a group, that of the block with the start in it included.
func (p *partition) dropDigests(g *group, from, start int64) {
	first, end := firstWhole(from), firstWhole(start)
	if p.topic.settings.Compact || first == end {
		return
	}
	for _, kind := range []byte{digestTypes, digestKeys} {
		_ = g.batch.DeleteRange(digestKey(p.topic.number, uint32(p.id), kind, first), digestKey(p.topic.number, uint32(p.id), kind, end), nil)
	}
}

// firstWhole is the first block that begins at an offset or behind it.
func firstWhole(start int64) int64 { return (start + blockRecords - 1) / blockRecords }

// makeDigests makes the digests of whole blocks that have none: those in which the log was opened, and those that an older dalamb wrote. It reads about so many
// bytes of the log, and goes on from there the next time. One runs at a time, and beside sweeps: what is to be removed does not wait for it.
func (l *Log) makeDigests(ctx context.Context, most int64) error {
	select {
	case l.digests <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.digests }()
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	var err error
	if l.begun != nil && l.Space() == eventlog.SpaceOK {
		err = unlessGone(l.makeDigest(ctx, l.begun, &most))
	}
	for _, w := range l.swept() {
		if w.settings.Compact {
			continue
		}
		for _, p := range w.parts {
			if err := l.unlessOver(ctx); err != nil {
				return err
			}
			err = errors.Join(err, unlessGone(l.makeMissing(ctx, p, &most)))
		}
	}
	return err
}

// unlessOver is why work of the log's own ends early: ctx is done, or Close waits for it.
func (l *Log) unlessOver(ctx context.Context) error {
	select {
	case <-l.closing:
		return eventlog.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

// makeMissing makes the digests that a partition lacks, as long as there is some of left, from which it takes what it reads. Where room is low it waits for more.
func (l *Log) makeMissing(ctx context.Context, p *partition, left *int64) error {
	if l.Space() != eventlog.SpaceOK {
		return nil
	}
	b := l.seen(p)
	first := firstWhole(b.Start)
	if p.digested == 0 && first > 0 {
		if err := l.dropBelow(ctx, p, first); err != nil {
			return err
		}
	}
	p.digested = max(p.digested, first)
	for to := b.End / blockRecords; *left > 0 && p.digested < to && l.Space() == eventlog.SpaceOK; {
		block, err := p.undigested(l.db, p.digested, to)
		if err != nil {
			return err
		}
		p.digested = block
		if block < to {
			if err := l.makeDigest(ctx, &digesting{log: l, p: p, block: block, next: block * blockRecords}, left); err != nil {
				return err
			}
		}
	}
	return nil
}

// undigested is the first of the blocks [from, to) that has no digest; to = all have one.
func (p *partition) undigested(db *pebble.DB, from, to int64) (int64, error) {
	number, id := p.topic.number, uint32(p.id)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: digestKey(number, id, digestTypes, from), UpperBound: digestKey(number, id, digestTypes, to)})
	if err != nil {
		return 0, fmt.Errorf("look for digests of %s/%d: %w", p.topic.name, p.id, err)
	}
	for ok := it.First(); ok && blockOfKey(it.Key()) == from; ok = it.Next() {
		from++
	}
	if err := it.Close(); err != nil {
		return 0, fmt.Errorf("look for digests of %s/%d: %w", p.topic.name, p.id, err)
	}
	return from, nil
}

// makeDigest reads a block, or what is left of it, and is said to have begun it where left is used up before its end. One that cannot be read has no digest: who
// reads it is told.
func (l *Log) makeDigest(ctx context.Context, m *digesting, left *int64) error {
	l.begun = nil
	p := m.p
	var r eventlog.Record
	err := p.scan(l.db, m.next, (m.block+1)*blockRecords, func(offset int64, stored []byte) error {
		if err := l.unlessOver(ctx); err != nil {
			return err
		}
		if *left <= 0 {
			return errEnough
		}
		*left -= int64(len(stored))
		if err := readRecord(stored, &r, true); err != nil {
			return err
		}
		m.digest.add(&r)
		m.next = offset + 1
		return nil
	})
	if over := l.unlessOver(ctx); over != nil {
		return over
	}
	if errors.Is(err, errEnough) {
		l.begun = m
		return nil
	}
	p.digested = m.block + 1
	if err != nil {
		l.log.Debug("read a block for its digest", "topic", p.topic.name, "partition", p.id, "offset", m.next, "err", err)
		return nil
	}
	if err := l.do(ctx, m); err != nil {
		return fmt.Errorf("store a digest of %s/%d: %w", p.topic.name, p.id, err)
	}
	return nil
}

// digesting makes and stores the digest of a block that was written before.
type digesting struct {
	log    *Log
	p      *partition
	block  int64
	next   int64 // the first offset that is not in digest
	digest digest
}

func (d *digesting) alone() bool { return false }
func (d *digesting) size() int   { return keyBits/8 + typesBytes }
func (d *digesting) publish()    {}

func (d *digesting) build(g *group) error {
	if d.log.numbers[d.p.topic.number] != d.p.topic {
		return eventlog.NoTopic(d.p.topic.name)
	}
	if d.p.w.start <= d.block*blockRecords { // else some of it was removed meanwhile
		d.digest.put(g.batch, d.p, d.block)
	}
	return nil
}
