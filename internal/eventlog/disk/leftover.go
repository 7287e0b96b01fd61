package disk

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// dropOrphans removes the digests of topics that are gone: an older dalamb, which knows of none, has deleted them.
func (l *Log) dropOrphans(ctx context.Context) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowDigest}, UpperBound: []byte{rowDigest + 1}})
	if err != nil {
		return fmt.Errorf("look for digests of topics: %w", err)
	}
	var orphans []*leftover
	for ok := it.First(); ok; {
		number := topicOfKey(it.Key())
		lower, upper := span(rowDigest, number)
		l.view.RLock()
		there := l.numbers[number] != nil
		l.view.RUnlock()
		if !there {
			orphans = append(orphans, &leftover{lower, upper})
		}
		ok = it.SeekGE(upper)
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("look for digests of topics: %w", err)
	}
	for _, o := range orphans {
		if err := l.do(ctx, o); err != nil {
			return fmt.Errorf("remove digests of topics that are gone: %w", err)
		}
	}
	return nil
}

// dropBelow removes the digests below a block whose records are gone: an older dalamb has removed them.
func (l *Log) dropBelow(ctx context.Context, p *partition, first int64) error {
	number, id := p.topic.number, uint32(p.id)
	for _, kind := range []byte{digestTypes, digestKeys} {
		o := &leftover{digestKey(number, id, kind, 0), digestKey(number, id, kind, first)}
		it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: o.lower, UpperBound: o.upper})
		if err != nil {
			return fmt.Errorf("look for digests of %s/%d: %w", p.topic.name, p.id, err)
		}
		some := it.First()
		err = it.Close()
		if err == nil && some {
			err = l.do(ctx, o)
		}
		if err != nil {
			return fmt.Errorf("remove digests of %s/%d: %w", p.topic.name, p.id, err)
		}
	}
	return nil
}

// leftover is the removal of rows that nothing is left of and that nobody writes any more.
type leftover struct{ lower, upper []byte }

func (o *leftover) alone() bool { return false }
func (o *leftover) size() int   { return 0 }
func (o *leftover) publish()    {}

func (o *leftover) build(g *group) error { return g.batch.DeleteRange(o.lower, o.upper, nil) }
