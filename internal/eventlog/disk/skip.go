package disk

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

var _ eventlog.Skipper = (*Log)(nil)

// skipBlocks is how many blocks one call passes by at most, in some hundredths of a second: who searches looks in between at how long it has taken.
const skipBlocks = 1024

// SkipAhead is eventlog.Skipper's.
func (l *Log) SkipAhead(ctx context.Context, p eventlog.Partition, from, to int64, w eventlog.Wanted) (at int64, err error) {
	at = from
	err = l.blocks(ctx, p, w, func(part *partition, out *ruledOut) error {
		at = max(from, l.seen(part).Start)
		for range skipBlocks {
			if at >= to {
				break
			}
			block := at / blockRecords
			if skip, err := out.has(ctx, block); err != nil || !skip {
				return err
			}
			at = (block + 1) * blockRecords
		}
		at = min(at, to)
		return nil
	})
	l.metrics.skipped.Add(float64(max(0, at-from)))
	return at, err
}

// SkipBack is eventlog.Skipper's.
func (l *Log) SkipBack(ctx context.Context, p eventlog.Partition, from, to int64, w eventlog.Wanted) (at int64, err error) {
	at = to
	err = l.blocks(ctx, p, w, func(part *partition, out *ruledOut) error {
		start := max(from, l.seen(part).Start)
		for range skipBlocks {
			if at <= start {
				at = from
				break
			}
			block := (at - 1) / blockRecords
			if skip, err := out.has(ctx, block); err != nil || !skip {
				return err
			}
			at = max(from, block*blockRecords)
		}
		return nil
	})
	l.metrics.skipped.Add(float64(max(0, to-at)))
	return at, err
}

// blocks gives what the digests of a partition rule out.
func (l *Log) blocks(ctx context.Context, p eventlog.Partition, w eventlog.Wanted, do func(*partition, *ruledOut) error) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	part, err := l.read(p, &eventlog.ReadOptions{})
	if err != nil {
		return err
	}
	out := &ruledOut{wanted: w}
	if w.Type != nil {
		if out.types, err = l.digestsOf(part, digestTypes); err != nil {
			return err
		}
		defer out.types.it.Close() // its errors are those of digests, without which a block is read
	}
	if w.Key != nil {
		if out.keys, err = l.digestsOf(part, digestKeys); err != nil {
			return err
		}
		defer out.keys.it.Close()
		out.key = hashKey(w.Key)
	}
	return do(part, out)
}

// ruledOut are the blocks of a partition that can have nothing that is wanted.
type ruledOut struct {
	wanted eventlog.Wanted
	types  *digests
	keys   *digests
	key    keyHash
}

// has says whether a block is one. A digest that is not there, or is damaged, rules nothing out.
func (o *ruledOut) has(ctx context.Context, block int64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	if o.wanted.Type != nil {
		if row, stored, ok := o.types.of(block); ok {
			if have, err := haveType(row, stored, o.wanted.Type); err == nil && !have {
				return true, nil
			}
		}
	}
	if o.wanted.Key != nil {
		if row, stored, ok := o.keys.of(block); ok {
			if have, err := haveKey(row, stored, o.key); err == nil && !have {
				return true, nil
			}
		}
	}
	return false, nil
}

// digests are those of one kind of a partition. To go from one to the next is much cheaper than to look for it.
type digests struct {
	it               *pebble.Iterator
	topic, partition uint32
	kind             byte
}

func (l *Log) digestsOf(p *partition, kind byte) (*digests, error) {
	d := &digests{topic: p.topic.number, partition: uint32(p.id), kind: kind}
	var err error
	d.it, err = l.db.NewIter(&pebble.IterOptions{LowerBound: digestKey(d.topic, d.partition, kind, 0), UpperBound: digestKey(d.topic, d.partition, kind+1, 0)})
	if err != nil {
		return nil, fmt.Errorf("look for digests of %s/%d: %w", p.topic.name, p.id, err)
	}
	return d, nil
}

// of gives the digest of a block; ok is false where it has none.
func (d *digests) of(block int64) (row, stored []byte, ok bool) {
	row = digestKey(d.topic, d.partition, d.kind, block)
	at := int64(-2)
	if d.it.Valid() {
		at = blockOfKey(d.it.Key())
	}
	switch block {
	case at - 1:
		ok = d.it.Prev()
	case at + 1:
		ok = d.it.Next()
	default:
		ok = d.it.SeekGE(row)
	}
	if !ok || !bytes.Equal(d.it.Key(), row) {
		return nil, nil, false
	}
	stored, err := d.it.ValueAndErr()
	return row, stored, err == nil
}
