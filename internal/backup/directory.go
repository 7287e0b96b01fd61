package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// comingDir has content that is not whole yet; it is emptied by the next who writes there.
const comingDir = "coming"

// directory is a place in a file system.
type directory string

func (d directory) String() string { return string(d) }

func (d directory) file(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(name))
}

func (d directory) read(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(d.file(name))
}

func (d directory) names(_ context.Context, dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		top := d.file(dir)
		stop := errors.New("enough")
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(top, path)
			if err == nil && !yield(filepath.ToSlash(rel), nil) {
				err = stop
			}
			return err
		})
		if err != nil && !errors.Is(err, stop) {
			yield("", err)
		}
	}
}

func (d directory) begin(ctx context.Context, fresh bool) (context.Context, writer, error) {
	if fresh {
		if err := d.create(); err != nil {
			return ctx, nil, err
		}
	}
	lock, err := os.OpenFile(d.file(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return ctx, nil, d.unwritable(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return ctx, nil, fault.New(fault.Conflict, "another backup to %s is under way", d).WithHint("wait until it has ended")
		}
		return ctx, nil, d.unwritable(err)
	}
	w := &directoryWriter{at: d, lock: lock, touched: map[string]bool{}}
	if err := w.prepare(); err != nil {
		return ctx, nil, errors.Join(d.unwritable(err), lock.Close())
	}
	return ctx, w, nil
}

// create makes the directory: private, because what is in it is what is in a data directory.
func (d directory) create() error {
	list, err := os.ReadDir(string(d))
	if err == nil && len(list) > 0 {
		return fault.New(fault.Conflict, "%s holds something, and no backups of dalamb", d).WithHint("name a directory that is empty or not there yet")
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return d.unwritable(err)
	}
	if err := durable.Replace(d.file(formatFile), []byte(format)); err != nil {
		return d.unwritable(err)
	}
	return nil
}

func (d directory) unwritable(err error) error {
	return fault.New(fault.Unavailable, "backups cannot be written to %s: %w", d, err).WithHint("make it yours (chown) and see that there is room, or name another directory")
}

// directoryWriter holds the lock of a directory.
type directoryWriter struct {
	at      directory
	lock    *os.File
	touched map[string]bool // directories that got new names
	encoder *zstd.Encoder
}

// prepare removes what an interrupted backup left, under the lock. Content that is whole stays: the next backup most likely has it.
func (w *directoryWriter) prepare() (err error) {
	if err := os.RemoveAll(w.at.file(comingDir)); err != nil {
		return err
	}
	for _, name := range []string{comingDir, contentDir, backupsDir} {
		if err := os.MkdirAll(w.at.file(name), 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(durable.Sweep(string(w.at)), durable.Sweep(w.at.file(backupsDir)), durable.Sync(string(w.at))); err != nil {
		return err
	}
	w.encoder, err = newEncoder()
	return err
}

// newEncoder compresses what is stored.
func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
}

func (w *directoryWriter) content(_ context.Context, path string, has func(digest string) bool) (is stored, err error) {
	in, err := source(path)
	if err != nil {
		return is, err
	}
	defer in.Close()
	out, err := os.CreateTemp(w.at.file(comingDir), "") // mode 0600
	if err != nil {
		return is, w.at.unwritable(err)
	}
	defer os.Remove(out.Name())
	h := sha256.New()
	w.encoder.Reset(out)
	is.size, err = io.Copy(io.MultiWriter(w.encoder, h), in)
	if err = errors.Join(err, w.encoder.Close()); err != nil {
		return is, errors.Join(fmt.Errorf("store %s: %w", path, err), out.Close())
	}
	is.digest = hex.EncodeToString(h.Sum(nil))
	if has(is.digest) {
		return is, out.Close()
	}
	info, err := out.Stat()
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return is, w.at.unwritable(err)
	}
	place := w.at.file(contentName(is.digest))
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return is, w.at.unwritable(err)
	}
	if err := os.Rename(out.Name(), place); err != nil {
		return is, w.at.unwritable(err)
	}
	w.touched[filepath.Dir(place)], w.touched[w.at.file(contentDir)] = true, true
	is.added = info.Size()
	return is, nil
}

// source opens a file of the data directory.
func source(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errGone
	}
	return f, err
}

func (w *directoryWriter) list(_ context.Context, name string, text []byte) error {
	for _, dir := range slices.Sorted(maps.Keys(w.touched)) {
		if err := durable.Sync(dir); err != nil {
			return err
		}
	}
	return durable.Replace(w.at.file(name), text)
}

func (w *directoryWriter) remove(_ context.Context, name string) error {
	if strings.HasPrefix(name, backupsDir+"/") {
		return durable.Remove(w.at.file(name)) // before anything of it goes
	}
	return os.Remove(w.at.file(name))
}

func (w *directoryWriter) close(context.Context) error { return w.lock.Close() }
