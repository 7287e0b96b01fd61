package disk

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

var _ eventlog.Skipper = (*Log)(nil)

// SkipAhead is eventlog.Skipper's.
func (l *Log) SkipAhead(ctx context.Context, p eventlog.Partition, from, to int64, w eventlog.Wanted) (at int64, err error) {
	at = from
	err = l.blocks(ctx, p, w, func(part *partition, out *ruledOut) error {
		for at = max(from, l.seen(part).Start); at < to; {
			block := at / blockRecords
			if skip, err := out.has(ctx, block); err != nil || !skip {
				return err
			}
			at = (block + 1) * blockRecords
		}
		at = to
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
		for at > start {
			block := (at - 1) / blockRecords
			if skip, err := out.has(ctx, block); err != nil || !skip {
				return err
			}
			at = block * blockRecords
		}
		at = from
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
	number, id := part.topic.number, uint32(part.id)
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: digestKey(number, id, 0, 0), UpperBound: digestKey(number, id, digestKeys+1, 0)})
	if err != nil {
		return fmt.Errorf("look for digests of %s/%d: %w", p.Topic, p.ID, err)
	}
	out := &ruledOut{it: it, topic: number, partition: id, wanted: w}
	if w.Key != nil {
		out.key = hashKey(w.Key)
	}
	err = do(part, out)
	it.Close() // its errors are those of digests, without which a block is read
	return err
}

// ruledOut are the blocks of a partition that can have nothing that is wanted.
type ruledOut struct {
	it               *pebble.Iterator
	topic, partition uint32
	wanted           eventlog.Wanted
	key              keyHash
}

// has says whether a block is one. A digest that is not there, or is damaged, rules nothing out.
func (o *ruledOut) has(ctx context.Context, block int64) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	if o.wanted.Type != nil {
		if row, stored, ok := o.stored(digestTypes, block); ok {
			if have, err := haveType(row, stored, o.wanted.Type); err == nil && !have {
				return true, nil
			}
		}
	}
	if o.wanted.Key != nil {
		if row, stored, ok := o.stored(digestKeys, block); ok {
			if have, err := haveKey(row, stored, o.key); err == nil && !have {
				return true, nil
			}
		}
	}
	return false, nil
}

func (o *ruledOut) stored(kind byte, block int64) (row, stored []byte, ok bool) {
	row = digestKey(o.topic, o.partition, kind, block)
	if !o.it.SeekGE(row) || !bytes.Equal(o.it.Key(), row) {
		return nil, nil, false
	}
	stored, err := o.it.ValueAndErr()
	return row, stored, err == nil
}
