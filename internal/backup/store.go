package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Names in a directory of backups.
const (
	formatFile = "FORMAT"
	lockFile   = "lock"
	contentDir = "content"
	backupsDir = "backups"
	comingDir  = "coming" // content that is not whole yet; emptied by the next who writes here
)

const format = "dalamb backup format 1\n"

// store is a directory of backups.
type store struct {
	dir     string
	lock    *os.File        // nil = it is only read
	touched map[string]bool // directories that got new names
	added   int64           // bytes
	encoder *zstd.Encoder
}

// open opens a directory of backups. Who writes has it alone, and makes it when it is not there; what is no directory of backups
// and holds something is refused.
func open(dir string, write bool) (s *store, err error) {
	if dir == "" {
		return nil, fault.New(fault.Invalid, "a directory of backups needs a name")
	}
	s = &store{dir: dir, touched: map[string]bool{}}
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	switch {
	case err == nil && string(text) != format:
		return nil, fault.New(fault.Conflict, "%s holds backups of another format: %q, this dalamb reads %q", dir, fault.Clip(strings.TrimSpace(string(text))), strings.TrimSpace(format)).
			WithHint("use the dalamb that wrote it, or another directory; nothing was changed")
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Unavailable, "the backups in %s cannot be read: %w", dir, err)
	case !write:
		return nil, fault.New(fault.NotFound, "there are no backups in %s", dir).WithHint("dalamb backup --to %s takes one", dir)
	default:
		if err := create(dir); err != nil {
			return nil, err
		}
	}
	if !write {
		return s, nil
	}
	if s.lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, unwritable(dir, err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Conflict, "another backup to %s is under way", dir).WithHint("wait until it has ended")
		}
		return nil, unwritable(dir, err)
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(unwritable(dir, err), s.lock.Close())
	}
	return s, nil
}

// create makes the directory of backups: private, because what is in it is what is in a data directory.
func create(dir string) error {
	list, err := os.ReadDir(dir)
	if err == nil && len(list) > 0 {
		return fault.New(fault.Conflict, "%s holds something, and no backups of dalamb", dir).WithHint("name a directory that is empty or not there yet")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unwritable(dir, err)
	}
	if err := durable.Replace(filepath.Join(dir, formatFile), []byte(format)); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

func unwritable(dir string, err error) error {
	return fault.New(fault.Unavailable, "backups cannot be written to %s: %w", dir, err).WithHint("make it yours (chown) and see that there is room, or name another directory")
}

// begin removes what an interrupted backup left, under the lock. Content that is whole stays: the next backup most likely has it.
func (s *store) begin() (err error) {
	if err := os.RemoveAll(filepath.Join(s.dir, comingDir)); err != nil {
		return err
	}
	for _, name := range []string{comingDir, contentDir, backupsDir} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(durable.Sweep(s.dir), durable.Sweep(filepath.Join(s.dir, backupsDir)), durable.Sync(s.dir)); err != nil {
		return err
	}
	s.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	return err
}

func (s *store) close() error { return s.lock.Close() }

func (s *store) contentFile(digest string) string {
	return filepath.Join(s.dir, contentDir, digest[:2], digest)
}

// add takes an entry of a data directory. before is what an earlier backup has of it, or zero.
func (s *store) add(name, path string, info fs.FileInfo, before File) (f File, err error) {
	f = File{Path: name, Mode: info.Mode() & (fs.ModePerm | fs.ModeType), Modified: info.ModTime().UTC()}
	switch {
	case info.IsDir():
		return f, nil
	case info.Mode()&fs.ModeSymlink != 0:
		f.Target, err = os.Readlink(path)
		return f, err
	}
	if before.Digest != "" && before.Size == info.Size() && before.Modified.Equal(f.Modified) {
		if _, err := os.Stat(s.contentFile(before.Digest)); err == nil {
			f.Size, f.Digest = before.Size, before.Digest
			return f, nil
		}
	}
	f.Size, f.Digest, err = s.put(path)
	return f, err
}

// put stores what is in a file.
func (s *store) put(path string) (size int64, digest string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Join(s.dir, comingDir), "") // mode 0600
	if err != nil {
		return 0, "", unwritable(s.dir, err)
	}
	defer os.Remove(out.Name())
	h := sha256.New()
	s.encoder.Reset(out)
	size, err = io.Copy(io.MultiWriter(s.encoder, h), in)
	if err = errors.Join(err, s.encoder.Close()); err != nil {
		return 0, "", errors.Join(fmt.Errorf("store %s: %w", path, err), out.Close())
	}
	digest = hex.EncodeToString(h.Sum(nil))
	place := s.contentFile(digest)
	if _, err := os.Stat(place); err == nil {
		return size, digest, out.Close()
	}
	info, err := out.Stat()
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return 0, "", unwritable(s.dir, err)
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return 0, "", unwritable(s.dir, err)
	}
	if err := os.Rename(out.Name(), place); err != nil {
		return 0, "", unwritable(s.dir, err)
	}
	s.touched[filepath.Dir(place)], s.touched[filepath.Join(s.dir, contentDir)] = true, true
	s.added += info.Size()
	return size, digest, nil
}

// get writes what a file held, and says whether it is that.
func (s *store) get(w io.Writer, f File) error {
	in, err := os.Open(s.contentFile(f.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "its content %s is missing", f.Digest)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer d.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(d, f.Size+1))
	if err != nil {
		return fault.New(fault.Invalid, "its content %s cannot be read: %w", f.Digest, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.Digest {
		return fault.New(fault.Invalid, "its content is not what its digest %s says", f.Digest)
	}
	return nil
}

func (s *store) check(f File) error { return s.get(io.Discard, f) }
