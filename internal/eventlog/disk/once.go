package disk

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// onceRow is the key of an identity in a topic: 16 bytes of a hash are as unique as a UUID.
type onceRow [1 + 4 + 16]byte

func onceKey(topic uint32, identity string) (k onceRow) {
	sum := sha256.Sum256([]byte(identity))
	k[0] = rowOnce
	binary.BigEndian.PutUint32(k[1:], topic)
	copy(k[5:], sum[:])
	return k
}

// onceLen is the length of the value: until u64, partition u32, offset u64.
const onceLen = 8 + 4 + 8

// AppendOnce is eventlog.Deduper's.
func (l *Log) AppendOnce(ctx context.Context, records []eventlog.Record, o eventlog.Once) ([]eventlog.Position, []bool, error) {
	if len(o.IDs) != len(records) || o.Window <= 0 {
		return nil, nil, fault.New(fault.Internal, "append once: %d identities for %d records, window %s", len(o.IDs), len(records), o.Window)
	}
	size, err := l.checkRecords(records)
	if err != nil {
		return nil, nil, err
	}
	c := &write{
		log: l, records: records, positions: make([]eventlog.Position, len(records)), bytes: size, ordinary: true,
		once: &once{ids: o.IDs, until: l.now().Add(o.Window).UnixMilli(), first: make([]int, len(records)), repeated: make([]bool, len(records))},
	}
	if err := l.do(ctx, c); err != nil {
		return nil, nil, err
	}
	return c.positions, c.once.repeated, nil
}

// once is what a write knows of the identities of its records.
type once struct {
	ids      []string
	until    int64 // how long they are remembered, Unix milliseconds
	rows     []onceRow
	first    []int // for a repeated one: which record of the same call is the first, or -1
	repeated []bool
}

// find looks for the identities of a write in what is stored and in the group, before anything of the write is in the group. Every earlier
// group has been applied, so that reads see it; it is durable before this write is acknowledged.
func (o *once) find(w *write, g *group) error {
	now := w.log.now().UnixMilli()
	seen := map[onceRow]int{}
	o.rows = make([]onceRow, len(o.ids))
	for i := range w.records {
		row := onceKey(w.log.topics[w.records[i].Topic].number, o.ids[i])
		o.rows[i], o.first[i] = row, -1
		if first, twice := seen[row]; twice {
			o.first[i], o.repeated[i] = first, true
			continue
		}
		seen[row] = i
		at, ok := g.once[row]
		if !ok {
			var err error
			if at, ok, err = w.log.before(row, now); err != nil {
				return err
			}
		}
		if ok {
			at.Topic = w.records[i].Topic
			w.positions[i], o.repeated[i] = at, true
		}
	}
	return nil
}

// before looks up an identity that is still remembered.
func (l *Log) before(row onceRow, now int64) (at eventlog.Position, ok bool, err error) {
	value, closer, err := l.db.Get(row[:])
	if errors.Is(err, pebble.ErrNotFound) {
		return at, false, nil
	}
	if err != nil {
		return at, false, fmt.Errorf("look up an identity: %w", err)
	}
	defer closer.Close()
	if len(value) != onceLen {
		return at, false, fmt.Errorf("look up an identity: the row has %d bytes", len(value))
	}
	if int64(binary.BigEndian.Uint64(value)) <= now {
		return at, false, nil
	}
	return eventlog.Position{
		Partition: int32(binary.BigEndian.Uint32(value[8:])), Offset: int64(binary.BigEndian.Uint64(value[12:])),
	}, true, nil
}

// repeats says whether record i is not to be stored; its position is then known, or that of an earlier record of the call.
func (o *once) repeats(w *write, i int) bool {
	if o == nil || !o.repeated[i] {
		return false
	}
	if first := o.first[i]; first >= 0 {
		w.positions[i] = w.positions[first]
	}
	return true
}

// remember puts the identity of record i into the group, now that it has its position.
func (o *once) remember(w *write, g *group, i int) {
	if o == nil {
		return
	}
	at := w.positions[i]
	value := binary.BigEndian.AppendUint64(make([]byte, 0, onceLen), uint64(o.until))
	value = binary.BigEndian.AppendUint32(value, uint32(at.Partition))
	value = binary.BigEndian.AppendUint64(value, uint64(at.Offset))
	// Set fails on a closed or oversized batch alone, and it panics then.
	_ = g.batch.Set(o.rows[i][:], value, nil)
	if g.once == nil {
		g.once = map[onceRow]eventlog.Position{}
	}
	g.once[o.rows[i]] = at
}

// Bounds of one step of forgetting.
const forgetMost = 1000

// forget removes identities whose window is over. It goes through all of them, a step at a time, so that writes go on between.
func (l *Log) forget(ctx context.Context) error {
	from := []byte{rowOnce}
	for from != nil {
		f := &forgetting{log: l, from: from, now: l.now().UnixMilli()}
		if err := l.gather(f); err != nil {
			return fmt.Errorf("look for identities to forget: %w", err)
		}
		if len(f.rows) > 0 {
			if err := l.do(ctx, f); err != nil {
				return err
			}
		}
		from = f.next
	}
	return nil
}

// forgetting is the removal of some identities.
type forgetting struct {
	log        *Log
	from, next []byte
	now        int64
	rows       [][]byte
}

// gather reads on from f.from.
func (l *Log) gather(f *forgetting) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: f.from, UpperBound: []byte{rowOnce + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > forgetMost {
			f.next = append([]byte(nil), it.Key()...)
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(value) != onceLen || int64(binary.BigEndian.Uint64(value)) <= f.now {
			f.rows = append(f.rows, append([]byte(nil), it.Key()...))
		}
	}
	return it.Error()
}

func (f *forgetting) alone() bool { return false }
func (f *forgetting) size() int   { return len(f.rows) * len(onceRow{}) }
func (f *forgetting) publish()    {}

func (f *forgetting) build(g *group) error {
	for _, row := range f.rows {
		// It may have been stored anew meanwhile, in this very group or before.
		if _, again := g.once[onceRow(row)]; again {
			continue
		}
		if _, again, err := f.log.before(onceRow(row), f.now); err != nil || again {
			continue
		}
		_ = g.batch.Delete(row, nil)
	}
	return nil
}
