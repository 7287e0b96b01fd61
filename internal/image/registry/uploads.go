package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// uploads are blobs that come in pieces. All that is known of one is a file: its name is the upload's id, its size how far it is, its
// time when somebody last sent something. So an upload goes on after a restart, from what is on disk; what a crash spoiled is
// found by the digest in the end.
type uploads struct {
	dir   string
	blobs *image.Blobs

	mu   sync.Mutex
	busy map[string]bool // ids that a request writes to
}

func openUploads(dir string, blobs *image.Blobs) (*uploads, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make room for image uploads: %w", err)
	}
	return &uploads{dir: dir, blobs: blobs, busy: map[string]bool{}}, nil
}

const uploadIDBytes = 16

// isUploadID also keeps paths out of other directories.
func isUploadID(id string) bool {
	return len(id) == 2*uploadIDBytes && strings.Trim(id, "0123456789abcdef") == ""
}

func noUpload(id string) error {
	return refuse(codeUploadUnknown, fault.NotFound, "there is no upload %.40q", id).
		hint("one that nobody goes on with for an hour is removed; start it again")
}

// begin makes an empty upload.
func (u *uploads) begin() (id string, err error) {
	list, err := os.ReadDir(u.dir)
	if err != nil {
		return "", fmt.Errorf("list image uploads: %w", err)
	}
	if len(list) >= maxUploads {
		return "", refuse(codeTooMany, fault.Exhausted, "%d uploads are under way; more are not taken", len(list)).
			hint("try again later; those that nobody goes on with are removed after an hour")
	}
	raw := make([]byte, uploadIDBytes)
	rand.Read(raw) // never fails: crypto/rand
	id = hex.EncodeToString(raw)
	f, err := os.OpenFile(u.path(id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("begin image upload: %w", err)
	}
	return id, f.Close()
}

func (u *uploads) path(id string) string { return filepath.Join(u.dir, id) }

// claim keeps other requests away from an upload until release is called.
func (u *uploads) claim(id string) (release func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy[id] {
		return nil, refuse(codeUploadInvalid, fault.Conflict, "another request writes to upload %s", id).hint("wait for its end, or start another upload")
	}
	u.busy[id] = true
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.busy, id)
	}, nil
}

// size is how many bytes of an upload are there.
func (u *uploads) size(id string) (int64, error) {
	info, err := os.Stat(u.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, noUpload(id)
	}
	if err != nil {
		return 0, fmt.Errorf("look at image upload: %w", err)
	}
	return info.Size(), nil
}

// add appends what r gives to a claimed upload, as far as it comes: what was written before an error counts.
func (u *uploads) add(id string, r io.Reader) error {
	size, err := u.size(id)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(u.path(id), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("write image upload: %w", err)
	}
	defer f.Close()
	left := maxBlob - size
	n, err := io.Copy(u.blobs.Bounded(f), io.LimitReader(r, left+1))
	if n > left {
		return refuse(codeSizeInvalid, fault.TooLarge, "the blob is larger than %d GiB", int64(maxBlob)>>30)
	}
	if err != nil {
		return fmt.Errorf("write image upload: %w", err)
	}
	return f.Close()
}

// finish makes a claimed upload content under its digest. One that is not what the digest says is gone afterwards.
func (u *uploads) finish(ctx context.Context, id, digest string) error {
	_, err := u.blobs.Adopt(ctx, digest, u.path(id))
	if fault.KindOf(err) == fault.Invalid {
		return errors.Join(as(codeDigestInvalid, err), u.remove(id))
	}
	return err
}

func (u *uploads) remove(id string) error {
	if err := os.Remove(u.path(id)); err != nil {
		return fmt.Errorf("remove image upload: %w", err)
	}
	return nil
}

// expire removes uploads to which nothing was sent since the given time, and says how many those were.
func (u *uploads) expire(since time.Time) (removed int, err error) {
	list, err := os.ReadDir(u.dir)
	if err != nil {
		return 0, fmt.Errorf("list image uploads: %w", err)
	}
	for _, de := range list {
		gone, err := u.expireOne(de.Name(), since)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

func (u *uploads) expireOne(id string, since time.Time) (bool, error) {
	release, err := u.claim(id)
	if err != nil {
		return false, nil // somebody goes on with it just now
	}
	defer release()
	info, err := os.Stat(u.path(id))
	if err != nil || info.ModTime().After(since) {
		return false, nil // finished meanwhile, or not idle
	}
	return true, u.remove(id)
}
