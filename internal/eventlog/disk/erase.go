package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

var _ eventlog.Eraser = (*Log)(nil)

// How long Erase waits until files are removed that nobody needs any more, and how often it looks.
const (
	erasePatience = 10 * time.Second
	eraseLook     = 20 * time.Millisecond
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
	l.erasing.Store(true)
	l.guard.thrifty.Store(true)
	err = l.dropLogs(ctx)
	l.erasing.Store(false)
	if err := errors.Join(err, l.lookAtSpace()); err != nil { // which says whether the guard is thrifty
		return err
	}
	return l.untilGone(ctx, "somebody reads a long stretch of the log; they are removed when he is done", func() (bool, error) {
		m := l.db.Metrics()
		return m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0, nil
	})
}

// dropLogs turns the write-ahead log over until none of its files is there that is there now. The guard is thrifty: it removes one that is done with for each that
// is begun.
func (l *Log) dropLogs(ctx context.Context) error {
	old, err := l.logFiles()
	if err != nil {
		return err
	}
	for range PebbleOptions().MemTableStopWritesThreshold + 2 {
		if err := l.db.Flush(); err != nil {
			return err
		}
	}
	looks := 0
	err = l.untilGone(ctx, "the next try removes those of the write-ahead log; if it does not either, see what the disk says in the node's log", func() (bool, error) {
		now, err := l.logFiles()
		if err != nil || !slices.ContainsFunc(now, func(name string) bool { return slices.Contains(old, name) }) {
			return true, err
		}
		// One may have been kept to be written over after the others were. Each flush leaves a small table behind, so the longer it takes the fewer there are.
		if looks++; looks&(looks-1) == 0 {
			err = l.db.Flush()
		}
		return false, err
	})
	if err != nil {
		return err
	}
	return syncDir(l.guard, l.guard.PathJoin(l.dir, "db")) // a power cut does not bring them back
}

// logFiles are the names of the files of the write-ahead log, those that are done with among them.
func (l *Log) logFiles() ([]string, error) {
	names, err := l.guard.List(l.guard.PathJoin(l.dir, "db"))
	if err != nil {
		return nil, fmt.Errorf("list the files of the event log: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") }), nil
}

// untilGone waits until files are gone that nobody needs any more. They are removed in the background.
func (l *Log) untilGone(ctx context.Context, hint string, gone func() (bool, error)) error {
	patience := time.NewTimer(l.erasePatience)
	defer patience.Stop()
	look := time.NewTicker(eraseLook)
	defer look.Stop()
	for {
		if ok, err := gone(); ok || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.closing:
			return eventlog.ErrClosed
		case <-patience.C:
			return fault.New(fault.Unavailable, "files that nobody needs any more are still there").WithHint("%s", hint)
		}
	}
}
