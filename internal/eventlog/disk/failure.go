package disk

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/fault"
)

// fail ends the log's writing for good. The first cause stays. It does not block.
func (l *Log) fail(cause error) {
	f := fault.New(fault.Unavailable, "the event log in %s takes no more writes: %w", l.dir, cause).
		WithHint("look after the disk, then restart dalamb: what was acknowledged is stored, and is read back at start")
	if l.broken.CompareAndSwap(nil, f) {
		close(l.failed)
		l.log.Error("event log failed", "dir", l.dir, "err", cause)
	}
}

// wedge is fail for an error after which Pebble cannot be closed, because its locks may be held for ever.
func (l *Log) wedge(cause error) {
	l.fail(cause)
	if l.stuck.CompareAndSwap(false, true) {
		close(l.wedged)
	}
}

// failure returns why the log takes no writes, or nil.
func (l *Log) failure() error {
	if f := l.broken.Load(); f != nil {
		return f
	}
	return nil
}

// pebbleLog is what Pebble logs to. Its chatter is for debugging; what it calls fatal ends the log, not the process.
type pebbleLog struct{ l *Log }

func (p pebbleLog) Infof(format string, args ...any) {
	p.l.log.Debug("pebble", "text", fmt.Sprintf(format, args...))
}

func (p pebbleLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	first, rest, _ := strings.Cut(text, "\n") // behind it stand the stacks of goroutines
	p.l.log.Warn("pebble", "text", first)
	if rest != "" {
		p.l.log.Debug("pebble", "text", text)
	}
}

// Fatalf must not return, because Pebble counts on that: its goroutine stops here, with whatever locks it holds.
func (p pebbleLog) Fatalf(format string, args ...any) {
	p.l.wedge(fmt.Errorf("pebble: "+strings.TrimPrefix(format, "pebble: "), args...))
	select {}
}

// restoring is the way back for whose log is damaged.
const restoring = "find a backup that is whole (dalamb backup verify), and restore it (dalamb restore): docs/backup.md"

// listener turns Pebble's bad news into the log's.
func (l *Log) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			// Cancelled work and read errors come here too; a failed write has broken the guard before.
			l.log.Warn("pebble background work failed", "err", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if _, said := l.damaged.LoadOrStore(info.Path, true); said { // each read of it comes here
				return
			}
			l.log.Error("event log is damaged", "file", info.Path, "err", info.Details, "hint", "stop the node; "+restoring)
			l.log.Debug("event log is damaged", "file", info.Path, "detail", fmt.Sprintf("%+v", info.Details))
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			l.log.Warn("disk is slow", "file", info.Path, "duration", info.Duration)
		},
	}
}

type failureFlags struct {
	failed chan struct{} // closed with broken
	broken atomic.Pointer[fault.Error]
	wedged chan struct{} // closed with stuck
	stuck  atomic.Bool   // Pebble cannot be closed

	damaged sync.Map // paths of files that were told of
}
