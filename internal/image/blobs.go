package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Blobs holds OCI content (layers, configs, manifests) by the SHA-256 of its bytes, one file each. What is there is whole, verified
// and durable. Safe for concurrent use; one process at a time.
type Blobs struct {
	content string // <dir>/sha256/<hex>: complete files only, they come here by rename
	tmp     string // <dir>/tmp: files that come or go; empty after OpenBlobs
	room    room
}

// aside begins the names of files that GC is about to remove.
const aside = "gc-"

// OpenBlobs opens or makes the store in dir and removes what an interrupted Put or GC left.
func OpenBlobs(dir string) (*Blobs, error) {
	b := &Blobs{content: filepath.Join(dir, "sha256"), tmp: filepath.Join(dir, "tmp"), room: roomOf(dir, "the image")}
	for _, d := range []string{b.content, b.tmp} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("make room for image content: %w", err)
		}
	}
	if err := b.clean(); err != nil {
		return nil, fmt.Errorf("clean image content: %w", err)
	}
	return b, nil
}

// clean empties tmp. What GC had put aside goes back, because somebody may have asked for it just then.
func (b *Blobs) clean() error {
	list, err := os.ReadDir(b.tmp)
	if err != nil {
		return err
	}
	for _, de := range list {
		left := filepath.Join(b.tmp, de.Name())
		if h, ok := strings.CutPrefix(de.Name(), aside); ok {
			err = os.Rename(left, filepath.Join(b.content, h))
		} else {
			err = os.RemoveAll(left)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Bounded is a writer to w that refuses when the disk of the store has no more room than its reserve. For content that comes to
// Adopt, and what is unpacked beside it.
func (b *Blobs) Bounded(w io.Writer) io.Writer { return b.room.writer(w) }

// Open gives the content of a digest, which can be read from any place, and its size in bytes. NotFound when it is not there.
// Content that is removed while it is read can be read to its end.
func (b *Blobs) Open(digest string) (io.ReadSeekCloser, int64, error) {
	path, err := b.path(digest)
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, noContent(digest)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open content %s: %w", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open content %s: %w", digest, err)
	}
	return f, info.Size(), nil
}

// Has says whether the digest is there, and its size in bytes. It counts as asked for: GC leaves it alone for a while, so whoever
// is going to refer to it has the time to do so.
func (b *Blobs) Has(digest string) (size int64, ok bool) {
	path, err := b.path(digest)
	if err != nil {
		return 0, false
	}
	now := time.Now()
	if os.Chtimes(path, now, now) != nil {
		return 0, false
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Size(), true
}

// Size is how many bytes the content of a digest has. NotFound when it is not there. Unlike Has it keeps nothing.
func (b *Blobs) Size(digest string) (int64, error) {
	path, err := b.path(digest)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, noContent(digest)
	}
	if err != nil {
		return 0, fmt.Errorf("look at content %s: %w", digest, err)
	}
	return info.Size(), nil
}

// Fresh says whether somebody has put or asked for (Has) the digest within the last hour, so that GC leaves it alone.
func (b *Blobs) Fresh(digest string) bool {
	path, err := b.path(digest)
	return err == nil && young(path)
}

// Put stores what r gives under its digest and returns its size in bytes. When it returns nil the content is on disk and survives a
// crash. Where it is there already, nothing of r is read. Content that is not what the digest says is an error of kind Invalid; that
// and every other error changes nothing.
func (b *Blobs) Put(ctx context.Context, digest string, r io.Reader) (int64, error) {
	if _, err := ParseDigest(digest); err != nil {
		return 0, err
	}
	if size, ok := b.Has(digest); ok {
		return size, nil
	}
	f, err := os.CreateTemp(b.tmp, "put-")
	if err != nil {
		return 0, fmt.Errorf("make room for content %s: %w", digest, noSpace(err))
	}
	defer os.Remove(f.Name()) // by then it is in its place, or not wanted
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(sum, b.room.writer(f)), wanted(ctx, r))
	if err != nil {
		return 0, fmt.Errorf("store content %s: %w", digest, noSpace(err))
	}
	if got := digestOf(sum.Sum(nil)); got != digest {
		return 0, notAsAnnounced(got, digest, n)
	}
	return n, b.keep(f, digest)
}

// Adopt moves a file, which must be on the same file system and which nobody writes any more, into the store under its digest, and
// returns its size in bytes. It is verified by what is on disk. On an error the file stays where it is.
func (b *Blobs) Adopt(ctx context.Context, digest, path string) (int64, error) {
	if _, err := ParseDigest(digest); err != nil {
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("adopt content %s: %w", digest, err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, wanted(ctx, f))
	if err != nil {
		return 0, fmt.Errorf("adopt content %s: %w", digest, err)
	}
	if got := digestOf(sum.Sum(nil)); got != digest {
		return 0, notAsAnnounced(got, digest, n)
	}
	return n, b.keep(f, digest)
}

// keep moves a verified file to its place. Of two that do it at once the later one wins, with the same bytes.
func (b *Blobs) keep(f *os.File, digest string) error {
	path, err := b.path(digest)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync content %s: %w", digest, noSpace(err))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("keep content %s: %w", digest, noSpace(err))
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil { // an adopted file may have been written long ago
		return fmt.Errorf("keep content %s: %w", digest, err)
	}
	return syncFile(os.Open(b.content))
}

// Delete removes a digest for good, whoever may need it. NotFound when it is not there.
func (b *Blobs) Delete(digest string) error {
	path, err := b.path(digest)
	if err != nil {
		return err
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noContent(digest)
	}
	if err != nil {
		return fmt.Errorf("remove content %s: %w", digest, err)
	}
	return nil
}

// Walk calls visit for each digest that is there, with its size in bytes, in no particular order. It ends with visit's first error.
func (b *Blobs) Walk(visit func(digest string, size int64) error) error {
	list, err := os.ReadDir(b.content)
	if err != nil {
		return fmt.Errorf("list content: %w", err)
	}
	for _, de := range list {
		info, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return fmt.Errorf("look at content %s: %w", de.Name(), err)
		}
		if err := visit(algorithm+de.Name(), info.Size()); err != nil {
			return err
		}
	}
	return nil
}

// GC removes the digests that keep does not want and that nobody has put or asked for (Has) within the last hour, and returns how
// many those were.
func (b *Blobs) GC(keep func(digest string) bool) (int, error) {
	removed := 0
	err := b.Walk(func(digest string, _ int64) error {
		if keep(digest) {
			return nil
		}
		gone, err := b.expire(digest)
		if gone {
			removed++
		}
		return err
	})
	return removed, err
}

// expire removes one digest unless somebody has asked for it lately. It is taken out of sight before its time is looked at: whoever
// asks later finds nothing, and who asked before has left a new time, which brings it back.
func (b *Blobs) expire(digest string) (gone bool, err error) {
	path, err := b.path(digest)
	if err != nil {
		return false, nil // nothing that Put has made
	}
	if young(path) {
		return false, nil
	}
	hidden := filepath.Join(b.tmp, aside+filepath.Base(path))
	if err := os.Rename(path, hidden); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("remove content %s: %w", digest, err)
	}
	if young(hidden) {
		if err := os.Rename(hidden, path); err != nil {
			return false, fmt.Errorf("bring content %s back: %w", digest, err)
		}
		return false, nil
	}
	if err := os.Remove(hidden); err != nil {
		return false, fmt.Errorf("remove content %s: %w", digest, err)
	}
	return true, nil
}

func young(path string) bool {
	info, err := os.Stat(path)
	return err == nil && time.Since(info.ModTime()) < gcGrace
}

func (b *Blobs) path(digest string) (string, error) {
	h, err := ParseDigest(digest)
	if err != nil {
		return "", err
	}
	return filepath.Join(b.content, h), nil
}

func noContent(digest string) error {
	return fault.New(fault.NotFound, "there is no content %s", digest).WithHint("push or pull the image that it belongs to again")
}

func notAsAnnounced(got, want string, n int64) error {
	return fault.New(fault.Invalid, "the content is %s (%d bytes), not %s as announced", got, n, want).
		WithHint("it was cut short or changed on its way; send it again")
}

// noSpace says for a person that the disk is full, where it is.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.Unavailable, "no room for the image: %w", err).WithHint("free space in the data directory, then try again")
	}
	return err
}
