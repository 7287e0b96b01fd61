package disk

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// place names a partition by the number of its topic, which outlives a name.
type place struct{ topic, partition uint32 }

// position is a group's stored position.
type position struct {
	offset   int64
	metadata string
}

// move is a position that changes when its group of writes is durable.
type move struct {
	at place
	to position
}

func (m move) apply(l *Log, group string) {
	offsets := l.groups[group]
	if offsets == nil {
		offsets = make(map[place]position)
		l.groups[group] = offsets
	}
	offsets[m.at] = m.to
}

// buildOffsets puts the rows of the group's positions into the group of writes.
func (w *write) buildOffsets(g *group) error {
	for i := range w.offsets {
		o := &w.offsets[i]
		m := move{
			at: place{w.log.topics[o.Partition.Topic].number, uint32(o.Partition.ID)},
			to: position{o.Offset, o.Metadata},
		}
		row := append(binary.BigEndian.AppendUint64(nil, uint64(o.Offset)), o.Metadata...)
		// Set fails on a closed or oversized batch alone, and it panics then.
		_ = g.batch.Set(groupKey(w.group, m.at.topic, m.at.partition), row, nil)
		w.moved = append(w.moved, m)
	}
	return nil
}

// loadGroups reads all positions. They are few: one per trigger and partition.
func (l *Log) loadGroups() error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowGroup}, UpperBound: []byte{rowGroup + 1}})
	if err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		group, t, p, ok := parseGroupKey(it.Key())
		b, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read group %s: %w", group, err)
		}
		if !ok || len(b) < 8 {
			return fmt.Errorf("read group %q: row is damaged", group)
		}
		move{place{t, p}, position{int64(binary.BigEndian.Uint64(b)), string(b[8:])}}.apply(l, group)
	}
	return it.Error()
}

// CommitOffsets is eventlog.Log's.
func (l *Log) CommitOffsets(ctx context.Context, group string, offsets []eventlog.GroupOffset) error {
	if err := eventlog.CheckOffsets(group, offsets); err != nil {
		return err
	}
	return l.do(ctx, &write{log: l, group: group, offsets: offsets})
}

// Offsets is eventlog.Log's.
func (l *Log) Offsets(_ context.Context, group string) ([]eventlog.GroupOffset, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.leave()
	l.view.RLock()
	defer l.view.RUnlock()
	all := make([]eventlog.GroupOffset, 0, len(l.groups[group]))
	for at, pos := range l.groups[group] {
		all = append(all, eventlog.GroupOffset{
			Partition: eventlog.Partition{Topic: l.numbers[at.topic].settings.Name, ID: int32(at.partition)},
			Offset:    pos.offset, Metadata: pos.metadata,
		})
	}
	slices.SortFunc(all, func(a, b eventlog.GroupOffset) int { return a.Partition.Compare(b.Partition) })
	return all, nil
}

// Groups is eventlog.Log's.
func (l *Log) Groups(context.Context) ([]string, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.leave()
	l.view.RLock()
	defer l.view.RUnlock()
	names := make([]string, 0, len(l.groups))
	for name := range l.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
