package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/sync/semaphore"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// removals keeps what removes things from the data directory and backups apart: of the latter there may be several at a time.
type removals struct{ all *semaphore.Weighted }

func newRemovals() removals { return removals{semaphore.NewWeighted(math.MaxInt64)} }

// hold waits until nothing is being removed, and lets nothing be until release is called.
func (r removals) hold(ctx context.Context) (release func(), err error) {
	if err := r.all.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { r.all.Release(1) }, nil
}

// begin says whether something may be removed now. done must be called then.
func (r removals) begin() (done func(), ok bool) {
	if !r.all.TryAcquire(math.MaxInt64) {
		return nil, false
	}
	return func() { r.all.Release(math.MaxInt64) }, true
}

// checkpoint is for a backup, which is to call release. The log comes first and files are copied after it: what a record refers to was stored
// before the record, so it is there as long as nothing is removed. The other way round a version that was deployed in between would be in
// the backup without its code.
func (n *Node) checkpoint(ctx context.Context) (made wire.Checkpoint, release func(), err error) {
	made.Data = n.config.Data
	letGo, err := n.removals.hold(ctx)
	if err != nil {
		return made, nil, err
	}
	log, ok := n.log.(eventlog.Checkpointer)
	if !ok {
		return made, letGo, nil
	}
	dir, err := log.Checkpoint(ctx)
	if err != nil {
		letGo()
		return made, nil, err
	}
	made.Log = dir
	n.logger.Info("a backup is being taken", "checkpoint", dir)
	return made, func() {
		defer letGo() // release is this function by now
		if err := os.RemoveAll(dir); err != nil {
			n.logger.Warn("a checkpoint could not be removed; the next start does", "dir", dir, "err", err)
		}
	}, nil
}

// Checkpoint does for a data directory that no node runs on what a node does for its own. It keeps nodes from it until release is called.
func Checkpoint(ctx context.Context, data string) (made wire.Checkpoint, release func() error, err error) {
	if made.Data, err = filepath.Abs(data); err != nil {
		return made, nil, err
	}
	if _, err := os.Stat(filepath.Join(made.Data, TokenFile)); err != nil {
		return made, nil, fault.New(fault.NotFound, "%s is no data directory: %w", data, err).
			WithHint("name the data directory of the node by --data, or by DALAMB_DATA; this user must be allowed to read it")
	}
	var lock io.Closer
	if _, err := os.Stat(filepath.Join(made.Data, logDir, "FORMAT")); errors.Is(err, fs.ErrNotExist) {
		if lock, err = lockData(made.Data); err != nil {
			return made, nil, err
		}
		return made, lock.Close, nil
	}
	log, err := disk.Open(disk.Options{Dir: filepath.Join(made.Data, logDir), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return made, nil, err
	}
	if made.Log, err = log.Checkpoint(ctx); err != nil {
		return made, nil, errors.Join(err, log.Close())
	}
	return made, func() error { return errors.Join(os.RemoveAll(made.Log), log.Close()) }, nil
}
