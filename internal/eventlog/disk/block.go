package disk

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// digestsMost is how many blocks one sweep makes digests of, about a second's work: of a log that was written before there were any, it is caught up
// with a million records a minute.
const digestsMost = 256

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

// makeDigests makes the digests of whole blocks that have none: those in which the log was opened, and those that an older dalamb wrote. It takes what it
// makes from most, and lets that become no less than 0. Where room is low it waits for more.
func (l *Log) makeDigests(ctx context.Context, p *partition, most *int) error {
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
	from, to := max(p.digested, first), b.End/blockRecords
	for *most > 0 && from < to {
		block, err := p.undigested(l.db, from, to)
		if err != nil {
			return err
		}
		if block < to {
			if err := l.makeDigest(ctx, p, block); err != nil {
				return err
			}
			*most--
			block++
		}
		from = block
		p.digested = block
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

// makeDigest reads a block. One that cannot be read has no digest: who reads it is told.
func (l *Log) makeDigest(ctx context.Context, p *partition, block int64) error {
	m := &digesting{log: l, p: p, block: block}
	var r eventlog.Record
	err := p.scan(l.db, block*blockRecords, (block+1)*blockRecords, func(_ int64, stored []byte) error {
		if err := readRecord(stored, &r, true); err != nil {
			return err
		}
		m.digest.add(&r)
		return ctx.Err()
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		l.log.Debug("read a block for its digest", "topic", p.topic.name, "partition", p.id, "offset", block*blockRecords, "err", err)
		return nil
	}
	if err := l.do(ctx, m); err != nil {
		return fmt.Errorf("store a digest of %s/%d: %w", p.topic.name, p.id, err)
	}
	return nil
}

// digesting stores the digest of a block that was written before.
type digesting struct {
	log    *Log
	p      *partition
	block  int64
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
