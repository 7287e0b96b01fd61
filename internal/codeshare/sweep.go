package codeshare

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// sweepGrace is how long chunks are kept that no version names: their version may be on its way.
const sweepGrace = time.Hour

// Sweep removes from the log the code and the content of images that no version of used refers to, and returns how many chunks those were. It reads the whole
// topic, so it is for once in a while; that several nodes do it does no harm.
func (s *Store) Sweep(ctx context.Context, used []*function.Version) (int, error) {
	if !s.shared() {
		return 0, nil
	}
	kept := map[string]bool{}
	for _, v := range used {
		if v.Stored != nil {
			kept[v.Stored.ID] = true
		}
		if v.Image == nil {
			continue
		}
		for _, l := range v.Image.Layers {
			if l.Stored != nil {
				kept[l.Stored.ID] = true
			}
		}
	}
	topics, err := s.log.Topics(ctx)
	if err != nil {
		return 0, fmt.Errorf("list topics: %w", err)
	}
	removed := 0
	for _, t := range topics {
		if t.Name != function.TopicCode {
			continue
		}
		for id := range t.Partitions {
			n, err := s.sweep(ctx, eventlog.Partition{Topic: t.Name, ID: id}, kept)
			removed += n
			if err != nil {
				return removed, fmt.Errorf("sweep %s/%d: %w", t.Name, id, err)
			}
		}
	}
	return removed, nil
}

func (s *Store) sweep(ctx context.Context, p eventlog.Partition, kept map[string]bool) (int, error) {
	old, err := s.log.OffsetAt(ctx, p, time.Now().Add(-sweepGrace))
	if err != nil {
		return 0, err
	}
	bounds, err := s.log.Bounds(ctx, p)
	if err != nil {
		return 0, err
	}
	there := map[string]bool{} // keys of chunks that nobody needs, and whether they still have a value
	for from := bounds.Start; from < old; {
		rs, err := s.log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return 0, err
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			if _, id, ok := parseKey(r.Key); ok && !kept[id] && r.Offset < old {
				there[string(r.Key)] = r.Value != nil
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
	removed := 0
	for key, still := range there {
		if !still {
			continue
		}
		if _, err := s.log.Append(ctx, []eventlog.Record{{Topic: p.Topic, Partition: p.ID, Key: []byte(key)}}); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
