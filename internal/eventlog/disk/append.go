package disk

import (
	"context"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Append is eventlog.Log's.
func (l *Log) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	size, err := l.checkRecords(records)
	if err != nil {
		return nil, err
	}
	c := &write{log: l, records: records, positions: make([]eventlog.Position, len(records)), bytes: size, ordinary: true}
	if err := l.do(ctx, c); err != nil {
		return nil, err
	}
	return c.positions, nil
}

// checkRecords refuses what is wrong in itself, and returns the stored size of all.
func (l *Log) checkRecords(records []eventlog.Record) (int, error) {
	size := 0
	for i := range records {
		n := recordSize(&records[i])
		if n > l.maxRecord {
			return 0, fault.New(fault.TooLarge, "record %d for topic %s has %d bytes, the event log takes %d", i, records[i].Topic, n, l.maxRecord)
		}
		size += n
	}
	if size > eventlog.MaxCall {
		return 0, fault.New(fault.TooLarge, "%d records have %d bytes, one call to the event log takes %d", len(records), size, eventlog.MaxCall)
	}
	return size, nil
}

// write is an Append, a CommitOffsets or a member's Commit.
type write struct {
	log       *Log
	records   []eventlog.Record
	positions []eventlog.Position
	bytes     int
	ordinary  bool // an Append, which the reserve of room is not for

	group   string
	offsets []eventlog.GroupOffset
	moved   []move

	once *once // identities of the records; nil = none

	member *member // nil = nobody claims anything
	claims []eventlog.Partition
}

func (w *write) alone() bool { return false }
func (w *write) size() int   { return w.bytes }

func (w *write) build(g *group) error {
	if err := w.check(); err != nil {
		return err
	}
	if w.once != nil {
		if err := w.once.find(w, g); err != nil {
			return err
		}
	}
	if err := w.buildOffsets(g); err != nil {
		return err
	}
	now := w.log.now().UnixMilli()
	var t *topic
	for i := range w.records {
		r := &w.records[i]
		if t == nil || t.settings.Name != r.Topic {
			t = w.log.topics[r.Topic]
			t.turn++
		}
		if w.once.repeats(w, i) {
			continue
		}
		p := t.partitions[w.choose(t, r)]
		w.positions[i] = eventlog.Position{Topic: t.settings.Name, Partition: p.id, Offset: p.w.next}
		g.add(p, r, now)
		w.once.remember(w, g, i)
	}
	// The caller may give up and use its memory again before publish.
	w.records, w.offsets, w.claims = nil, nil, nil
	return nil
}

// check refuses the whole call before anything of it is in the group.
func (w *write) check() error {
	if w.member != nil {
		if err := w.member.claim(w.claims); err != nil {
			return err
		}
	}
	var t *topic
	for i := range w.records {
		r := &w.records[i]
		if t == nil || t.settings.Name != r.Topic {
			if t = w.log.topics[r.Topic]; t == nil {
				return eventlog.NoTopic(r.Topic)
			}
		}
		if r.Partition != eventlog.AnyPartition && (r.Partition < 0 || int(r.Partition) >= len(t.partitions)) {
			return eventlog.NoPartition(eventlog.Partition{Topic: r.Topic, ID: r.Partition}, len(t.partitions))
		}
		if t.settings.Compact && r.Key == nil {
			return eventlog.NeedsKey(i, r.Topic)
		}
	}
	for i := range w.offsets {
		o := &w.offsets[i]
		if _, err := w.log.partition(o.Partition); err != nil {
			return err
		}
	}
	return nil
}

// choose picks the partition of a record. Records without a key go where the call's other ones go: rows that stand side
// by side are cheap to insert, and the next call takes the next partition.
func (w *write) choose(t *topic, r *eventlog.Record) int32 {
	switch n := int32(len(t.partitions)); {
	case r.Partition != eventlog.AnyPartition:
		return r.Partition
	case r.Key != nil:
		return eventlog.PartitionFor(r.Key, n)
	default:
		return int32(t.turn % uint32(n))
	}
}

// add gives a record its offset and time and puts it into the group.
func (g *group) add(p *partition, r *eventlog.Record, now int64) {
	s := &p.w
	stamped := r.Time.IsZero()
	at := now
	if stamped {
		// A clock that was set back must not make the partition's stamps go back.
		at = max(now, s.stamp)
		s.stamp = at
	} else {
		at = r.Time.UnixMilli()
	}
	s.mark = max(s.mark, at)
	size := recordSize(r)
	op := g.batch.SetDeferred(recordKeyLen, size)
	putRecordKey(op.Key, p.topic.number, uint32(p.id), s.next)
	putRecord(op.Value, r, at, s.mark, stamped)
	// Finish of a deferred operation fails for an indexed batch alone.
	_ = op.Finish()
	p.digest(g, r)
	s.next++
	s.bytes += int64(size)
	p.sinceBytes += int64(size)
	p.sinceCount++
	g.records++
	g.bytes += size
	g.touch(p)
}

func (w *write) publish() {
	for _, m := range w.moved {
		m.apply(w.log, w.group)
	}
}
