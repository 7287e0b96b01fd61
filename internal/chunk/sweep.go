package chunk

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Grace is how long chunks are kept that nothing names: what names them may be on its way.
const Grace = time.Hour

// Sweep says which chunks may go.
type Sweep struct {
	Before time.Time                  // younger ones stay
	Kept   func(id string) bool       // what is stored under this id is needed; see function.Stored
	Mine   func(partition int32) bool // who looks after a partition; nil = all are this node's
}

// Sweep removes chunks that nobody needs, and returns how many those were. It reads the whole topic, so it is for once in a while; that several nodes
// do it does no harm. A log that is an eventlog.Compacter has their room back by then; any other is left a record in each partition that it has not
// compacted since the last Sweep, or nothing would come after the tombstones, and Kafka compacts what other segments have followed.
func (s Store) Sweep(ctx context.Context, what Sweep) (int, error) {
	topics, err := s.Log.Topics(ctx)
	if err != nil {
		return 0, fmt.Errorf("list topics: %w", err)
	}
	compacter, compacts := s.Log.(eventlog.Compacter)
	removed, dead := 0, false
	for _, t := range topics {
		if t.Name != s.Topic {
			continue
		}
		for id := range t.Partitions {
			if what.Mine != nil && !what.Mine(id) {
				continue
			}
			n, left, err := s.sweep(ctx, eventlog.Partition{Topic: t.Name, ID: id}, what)
			if err == nil && left != nil && n == 0 && !compacts {
				err = s.bury(ctx, eventlog.Partition{Topic: t.Name, ID: id}, left)
			}
			removed, dead = removed+n, dead || left != nil
			if err != nil {
				return removed, fmt.Errorf("sweep %s/%d: %w", t.Name, id, err)
			}
		}
	}
	if dead && compacts {
		if err := compacter.Compact(ctx, s.Topic); err != nil {
			return removed, fmt.Errorf("compact %s: %w", s.Topic, err)
		}
	}
	return removed, nil
}

// bury appends a tombstone.
func (s Store) bury(ctx context.Context, p eventlog.Partition, key []byte) error {
	_, err := s.Log.Append(ctx, []eventlog.Record{{Topic: p.Topic, Partition: p.ID, Key: key}})
	return err
}

// sweep returns of how many chunks it removed, and the key of one that takes room and that nobody needs, removed now or earlier; nil = none does.
func (s Store) sweep(ctx context.Context, p eventlog.Partition, what Sweep) (removed int, dead []byte, err error) {
	old, err := s.Log.OffsetAt(ctx, p, what.Before)
	if err != nil {
		return 0, nil, err
	}
	bounds, err := s.Log.Bounds(ctx, p)
	if err != nil {
		return 0, nil, err
	}
	there := map[string]bool{} // keys of chunks that nobody needs, and whether they still have a value
	for from := bounds.Start; from < old; {
		rs, err := s.Log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return 0, nil, err
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			if id, ok := ID(r.Key); ok && r.Offset < old && !what.Kept(id) {
				there[string(r.Key)] = r.Value != nil
				if r.Value != nil {
					dead = r.Key
				}
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
	for key, still := range there {
		if !still {
			continue
		}
		if err := s.bury(ctx, p, []byte(key)); err != nil {
			return removed, dead, err
		}
		removed++
	}
	return removed, dead, nil
}
