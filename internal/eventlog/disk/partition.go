package disk

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A partition's state row is written anew after this many bytes or records, so that opening has little to count.
const (
	stateEveryBytes   = 1 << 20
	stateEveryRecords = 4096
)

// partition has two faces: what the committer has given out, and what readers may see.
type partition struct {
	topic *topic
	id    int32

	// The committer's own; no other goroutine touches these.
	w          state
	sinceBytes int64 // since the state row was written
	sinceCount int64
	inGroup    *group  // the last group that touched this partition
	block      *digest // of the block that is being written; nil = its first records are not in it

	// What readers see, under Log.view.
	start, end int64
	wake       chan struct{} // closed when end moves and somebody waits
	waited     atomic.Bool

	damaged error // why nothing of it can be read, in a log that is only read; nil = it can

	bytes   atomic.Int64 // of the kept records, as last published
	cleaned atomic.Int64 // compaction has seen all offsets below
	kept    atomic.Int64 // records that the last pass of compaction left; 0 = not known

	digested int64 // of who has Log.digests: all whole blocks below have their digest, as far as it can be had
}

// state is the durable summary of a partition, as of the offset next.
type state struct {
	start   int64 // the oldest offset kept
	next    int64 // the offset of the next record; outlives the records
	bytes   int64 // stored size of the records in [start, next)
	stamp   int64 // the log's last own time stamp
	mark    int64 // the largest record time
	cleaned int64 // compaction has seen all offsets below
}

const stateVersion = 1

func (s *state) encode() []byte {
	b := make([]byte, 1, 1+6*8)
	b[0] = stateVersion
	for _, v := range [...]int64{s.start, s.next, s.bytes, s.stamp, s.mark, s.cleaned} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func (s *state) decode(b []byte) error {
	if len(b) != 1+6*8 || b[0] != stateVersion {
		return fmt.Errorf("state row of %d bytes is damaged", len(b))
	}
	for i, p := range [...]*int64{&s.start, &s.next, &s.bytes, &s.stamp, &s.mark, &s.cleaned} {
		*p = int64(binary.BigEndian.Uint64(b[1+8*i:]))
	}
	return nil
}

func newPartition(t *topic, id int32) *partition {
	return &partition{topic: t, id: id, wake: make(chan struct{})}
}

// load reads the state row and counts what was appended after it. In a log that is only read, damage there is passed over.
func (p *partition) load(db *pebble.DB, reading bool) error {
	row, closer, err := db.Get(stateKey(p.topic.number, uint32(p.id)))
	switch {
	case err == pebble.ErrNotFound:
	case err != nil:
		return fmt.Errorf("read state of %s/%d: %w", p.topic.name, p.id, err)
	default:
		err = p.w.decode(row)
		closer.Close()
		if err != nil {
			return fmt.Errorf("read state of %s/%d: %w", p.topic.name, p.id, err)
		}
	}
	err = p.scan(db, p.w.next, maxOffset, func(offset int64, stored []byte) error {
		at, mark, stamped, err := recordTimes(stored)
		if err != nil {
			return fmt.Errorf("read %s/%d at %d: %w", p.topic.name, p.id, offset, err)
		}
		p.w.next = offset + 1
		p.w.mark = mark
		if stamped {
			p.w.stamp = at
		}
		p.w.bytes += int64(len(stored))
		p.sinceBytes += int64(len(stored))
		p.sinceCount++
		return nil
	})
	p.start, p.end = p.w.start, p.w.next
	p.bytes.Store(p.w.bytes)
	p.cleaned.Store(p.w.cleaned)
	if err != nil && reading {
		return p.salvage(db, err)
	}
	return err
}

const maxOffset = math.MaxInt64

// bounds are the iterator options for the offsets [from, to).
func (p *partition) bounds(from, to int64) *pebble.IterOptions {
	return &pebble.IterOptions{
		LowerBound: recordKey(p.topic.number, uint32(p.id), from),
		UpperBound: recordKey(p.topic.number, uint32(p.id), to),
	}
}

// scan calls f for each record in [from, to) until f returns an error. stored is valid during the call only.
func (p *partition) scan(db *pebble.DB, from, to int64, f func(offset int64, stored []byte) error) error {
	if from >= to {
		return nil
	}
	it, err := db.NewIter(p.bounds(from, to))
	if err != nil {
		return fmt.Errorf("scan %s/%d: %w", p.topic.name, p.id, err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		stored, err := it.ValueAndErr()
		if err == nil {
			err = f(offsetOfKey(it.Key()), stored)
		}
		if err != nil {
			it.Close()
			return err
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("scan %s/%d: %w", p.topic.name, p.id, err)
	}
	return nil
}
