package disk

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

var _ eventlog.Eraser = (*Log)(nil)

// How long Erase waits until files are removed that nobody needs any more but who reads in them, and how often it looks.
const (
	erasePatience = 10 * time.Second
	eraseLook     = 5 * time.Millisecond
)

// Erase is eventlog.Eraser's. A record that is removed is still in three places: the write-ahead log, tables that a compaction has not come by, and
// write-ahead logs that are done with and kept to be written over.
func (l *Log) Erase(ctx context.Context, topic string) error {
	if err := l.Compact(ctx, topic); err != nil {
		return err
	}
	leave, err := l.enterSweep(ctx)
	if err != nil {
		return err
	}
	defer leave()
	l.view.RLock()
	t := l.topics[topic]
	l.view.RUnlock()
	if t == nil {
		return eventlog.MissingTopic(topic, nil)
	}
	if err := l.failure(); err != nil {
		return err
	}
	done := make(chan error, 1)
	l.owners.Go(func() { done <- l.erase(ctx, t) })
	select {
	case err = <-done:
	case <-l.closing: // as reclaimOrLeave: Close waits for it then
		return eventlog.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("erase what topic %s holds no more: %w", topic, err)
	}
	return nil
}

// erase makes Pebble forget. A panic of its becomes an error.
func (l *Log) erase(ctx context.Context, t *topic) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.wedge(fmt.Errorf("pebble: %v", p))
			err = l.failure()
		}
	}()
	lower, upper := span(rowRecord, t.number)
	if err := l.db.Compact(ctx, lower, upper, false); err != nil { // flushes first
		return err
	}
	// Each flush turns the write-ahead log over, for which a thrifty guard removes one that is done with.
	l.erasing.Store(true)
	l.guard.thrifty.Store(true)
	for range PebbleOptions().MemTableStopWritesThreshold + 2 {
		if err := l.db.Flush(); err != nil {
			l.erasing.Store(false)
			return err
		}
	}
	l.erasing.Store(false)
	if err := l.lookAtSpace(); err != nil { // which says whether the guard is thrifty
		return err
	}
	patience := time.NewTimer(erasePatience)
	defer patience.Stop()
	look := time.NewTicker(eraseLook)
	defer look.Stop()
	for {
		if m := l.db.Metrics(); m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0 {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience.C:
			return fault.New(fault.Unavailable, "files that nobody needs any more are still open").WithHint("somebody reads a long stretch of the log; they are removed when he is done")
		}
	}
}
