package disk

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// checkpoints is the directory of checkpoints, in the log's own: a hard link cannot leave its file system.
const checkpoints = "checkpoints"

var _ eventlog.Checkpointer = (*Log)(nil)

// Checkpoint is eventlog.Checkpointer's. Tables are linked and not copied; writers wait while that is done and the
// write-ahead log is copied.
func (l *Log) Checkpoint(ctx context.Context) (dir string, err error) {
	if err := l.flushSoon(ctx); err != nil {
		return "", err
	}
	fs := l.guard.FS
	dir = fs.PathJoin(l.dir, checkpoints, strconv.FormatInt(time.Now().UnixNano(), 36))
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return "", unusable(l.dir, err)
	}
	err = l.do(ctx, &checkpoint{log: l, dir: dir})
	if err == nil {
		err = writeFormat(fs, dir)
	}
	if err != nil {
		_ = fs.RemoveAll(dir) // the next Open removes what stays
		return "", fmt.Errorf("take a checkpoint of the event log: %w", err)
	}
	return dir, nil
}

// flushSoon has Pebble make tables of what is in memory, so that little of the write-ahead log is to be copied while writers wait.
func (l *Log) flushSoon(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	if l.Space() == eventlog.SpaceEmpty {
		return errDiskFull(nil)
	}
	flushed, err := l.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush the event log: %w", err)
	}
	select {
	case <-flushed:
	case <-l.failed:
		return l.failure()
	case <-l.closing:
		return eventlog.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// checkpoint is a change of nothing. It stands alone, so that all before it is in the write-ahead log and durable, and nobody
// writes there while it is copied: a copy of a log that grows may have a hole, which reads as damage.
type checkpoint struct {
	log *Log
	dir string
}

func (c *checkpoint) alone() bool { return true }
func (c *checkpoint) size() int   { return 0 }
func (c *checkpoint) publish()    {}

func (c *checkpoint) build(*group) (err error) {
	l := c.log
	defer func() {
		if p := recover(); p != nil {
			l.wedge(fmt.Errorf("pebble: %v", p))
			err = l.failure()
		}
	}()
	err = l.db.Checkpoint(l.guard.PathJoin(c.dir, "db"))
	if vfs.IsNoSpaceError(err) {
		return fault.New(fault.Unavailable, "no room beside the log in %s: %w", l.dir, err).WithHint("make room on the disk")
	}
	return err
}
