package history

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// removeAtOnce bounds one batch of removed rows.
const removeAtOnce = 1000

// expire removes the rows that the topic's retention has taken from the log.
func (h *History) expire(ctx context.Context, t *table, topic eventlog.Topic) error {
	var cutoff time.Time
	if topic.Retention > 0 {
		cutoff = h.now().Add(-topic.Retention)
	}
	if !topic.Compact {
		oldest, err := h.oldest(ctx, topic)
		if err != nil {
			return err
		}
		if oldest.After(cutoff) {
			cutoff = oldest
		}
	}
	if cutoff.IsZero() {
		return nil
	}
	if topic.Name == function.TopicRuns {
		if err := h.forgetCancelled(cutoff); err != nil {
			return err
		}
	}
	// Keys from here on are older than the cutoff.
	all := t.termPrefix(term{index: indexAll})
	from := t.termKey(term{index: indexAll}, cutoff.Add(-time.Millisecond), "")
	return h.removeRows(t, from, after(all), func(row) bool { return true })
}

// oldest is the time of the oldest record that any partition of a topic still holds: retention by size ends there. Zero =
// nothing has been taken yet, or all is empty.
func (h *History) oldest(ctx context.Context, topic eventlog.Topic) (time.Time, error) {
	var oldest time.Time
	for id := range topic.Partitions {
		p := eventlog.Partition{Topic: topic.Name, ID: id}
		b, err := h.log.Bounds(ctx, p)
		if err != nil {
			return time.Time{}, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, id, err)
		}
		if b.Start == b.End {
			continue
		}
		rs, err := h.log.Read(ctx, p, b.Start, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
		if err != nil {
			return time.Time{}, fmt.Errorf("read the oldest record of %s/%d: %w", p.Topic, id, err)
		}
		if len(rs) > 0 && (oldest.IsZero() || rs[0].Time.Before(oldest)) {
			oldest = rs[0].Time
		}
	}
	return oldest, nil
}

// drop removes all rows that came from one partition.
func (h *History) drop(t *table, partition int32) error {
	all := t.termPrefix(term{index: indexAll})
	return h.removeRows(t, all, after(all), func(r row) bool { return r.partition == partition })
}

// removeRows removes the rows between two keys of the index of all rows.
func (h *History) removeRows(t *table, from, to []byte, which func(row) bool) error {
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return fmt.Errorf("scan history: %w", err)
	}
	defer it.Close()
	batch := h.db.NewBatch()
	defer func() { batch.Close() }()
	tail := len(t.termPrefix(term{index: indexAll})) + 8
	for it.First(); it.Valid(); it.Next() {
		id := string(it.Key()[tail:])
		r, found, err := t.get(h.db, id)
		if err != nil {
			return err
		}
		switch {
		case !found || r.newest() != binary.BigEndian.Uint64(it.Key()[tail-8:]):
			err = batch.Delete(it.Key(), nil)
		case which(r):
			err = t.remove(batch, id, r)
		}
		if err != nil {
			return err
		}
		if batch.Count() >= removeAtOnce {
			if err := batch.Commit(pebble.NoSync); err != nil {
				return fmt.Errorf("remove old history: %w", err)
			}
			batch.Close()
			batch = h.db.NewBatch()
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("scan history: %w", err)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("remove old history: %w", err)
	}
	return nil
}
