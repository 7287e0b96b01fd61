package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// While room is low but not nearly gone, ranges with less than this together wait until there are more.
const reclaimMin = 16 << 20

// Obsolete write-ahead logs that are kept for reuse may hold this much while room is low.
const obsoleteMax = 4 << 20

// freed are the key ranges that were removed and may still take room: a range deletion is only a note to Pebble until
// a compaction comes by.
type freed struct {
	mu     sync.Mutex
	ranges []keyRange
	bytes  int64
}

type keyRange struct{ lower, upper []byte }

// Past this many ranges the oldest are forgotten, that is, left to Pebble.
const freedMax = 10_000

func (f *freed) add(lower, upper []byte, bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ranges) == freedMax {
		f.ranges = f.ranges[1:]
	}
	f.ranges = append(f.ranges, keyRange{lower, upper})
	f.bytes += bytes
}

// take returns all ranges when they have at least so many bytes.
func (f *freed) take(atLeast int64) []keyRange {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes < atLeast {
		return nil
	}
	rs := f.ranges
	f.ranges, f.bytes = nil, 0
	return rs
}

// reclaim makes Pebble give back what removed records take, where room is low. A panic of Pebble's becomes an error.
func (l *Log) reclaim(ctx context.Context) (err error) {
	space := l.Space()
	if space == eventlog.SpaceOK || l.failure() != nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			l.wedge(fmt.Errorf("pebble: %v", p))
			err = l.failure()
		}
	}()
	atLeast := int64(reclaimMin)
	if space == eventlog.SpaceEmpty || l.room.below(2*emptyFree) {
		atLeast = 1
	}
	for _, r := range l.freed.take(atLeast) {
		if err := l.db.Compact(ctx, r.lower, r.upper, false); err != nil {
			return fmt.Errorf("give back the room of removed records: %w", err)
		}
	}
	// Each flush turns the write-ahead log over, for which the thrifty guard removes an obsolete one.
	for range PebbleOptions().MemTableStopWritesThreshold + 1 {
		if l.db.Metrics().WAL.ObsoletePhysicalSize <= obsoleteMax || ctx.Err() != nil {
			break
		}
		if err := l.db.Flush(); err != nil {
			return fmt.Errorf("give back the room of the write-ahead log: %w", err)
		}
	}
	return errors.Join(ctx.Err(), l.lookAtSpace())
}

// reclaimOrLeave waits for reclaim until the log is closed. Close does not wait for a compaction that waits for room:
// it ends the wait for room, and then waits.
func (l *Log) reclaimOrLeave(ctx context.Context) error {
	done := make(chan error, 1)
	l.owners.Go(func() { done <- l.reclaim(ctx) })
	select {
	case err := <-done:
		return err
	case <-l.closing:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sweepSoon has the janitor sweep now.
func (l *Log) sweepSoon() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}
