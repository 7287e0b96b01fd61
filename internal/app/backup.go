package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

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
	if made.Key, err = keyAt(secretKey(n.config)); err != nil {
		return made, nil, err
	}
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
	n.logger.Info("a copy of the log is held, for a backup or an audit", "checkpoint", dir)
	return made, func() {
		defer letGo() // release is this function by now
		if err := os.RemoveAll(dir); err != nil {
			n.logger.Warn("a checkpoint could not be removed; the next start does", "dir", dir, "err", err)
		}
	}, nil
}

// keyAt gives the whole path of the key of secrets; "" where no secret was ever set, and so no key made.
func keyAt(file string) (string, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("find the key of secrets: %w", err)
	}
	return path, nil
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
	if err := ownedByAnother(made.Data); err != nil {
		return made, nil, err
	}
	if made.Key, err = keyAt(filepath.Join(made.Data, keyFile)); err != nil {
		return made, nil, err
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

// ownedByAnother refuses root what is somebody else's: who opens a log writes files next to it, and a node that may not write to them does not start.
func ownedByAnother(data string) error {
	info, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	name := strconv.FormatUint(uint64(owner.Uid), 10)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fault.New(fault.Denied, "no node runs on %s, and root would leave files there that its owner, %s, cannot write to", data, name).
		WithHint("do it as that user, such as by setpriv or sudo -u %s, or start the node first", name)
}

// AtRest says what there is of a data directory that no node runs on, for who only reads it: it may be a copy without the node's token, or be mounted to be
// read. Whoever opens the log keeps nodes from it.
func AtRest(_ context.Context, data string) (made wire.Checkpoint, release func() error, err error) {
	if made.Data, err = filepath.Abs(data); err != nil {
		return made, nil, err
	}
	release = func() error { return nil }
	log := filepath.Join(made.Data, logDir)
	if _, err := os.Stat(filepath.Join(log, "FORMAT")); err == nil {
		made.Log = log
		return made, release, nil
	}
	if _, err := os.Stat(filepath.Join(made.Data, auditDir)); err != nil {
		return made, nil, fault.New(fault.NotFound, "%s is no data directory with an audit: %w", data, err).
			WithHint("name the data directory of the node by --data, or by DALAMB_DATA; this user must be allowed to read it")
	}
	lock, err := lockData(made.Data)
	switch {
	case err == nil:
		return made, lock.Close, nil
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return made, release, nil
	}
	return made, nil, err
}
