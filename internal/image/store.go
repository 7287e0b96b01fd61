package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Store holds unpacked code directories by digest. Safe for concurrent use; one process at a time.
type Store struct {
	trees string // <dir>/sha256/<hex>: complete trees only, they come here by rename
	tmp   string // <dir>/tmp: trees that come or go; empty after Open

	mu    sync.Mutex
	sizes map[string]int64 // of digests that were asked for: what a digest names never changes
}

// gcGrace is how long a digest is kept that nobody asks for: between an upload and the deploy that names it nothing else
// holds it.
const gcGrace = time.Hour

// Open opens or makes the store in dir and removes what an interrupted Put or GC left.
func Open(dir string) (*Store, error) {
	s := &Store{trees: filepath.Join(dir, "sha256"), tmp: filepath.Join(dir, "tmp"), sizes: map[string]int64{}}
	if err := os.RemoveAll(s.tmp); err != nil {
		return nil, fmt.Errorf("clean code store: %w", err)
	}
	for _, d := range []string{s.trees, s.tmp} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("make code store: %w", err)
		}
	}
	return s, nil
}

// Put unpacks an archive, which need not be canonical, and returns the digest of what it holds. When it returns nil the tree is
// on disk and survives a crash. A tree that is there already is left as it is. An archive that is not acceptable is an error of
// kind Invalid or TooLarge that names the entry, and changes nothing.
func (s *Store) Put(ctx context.Context, archive io.Reader) (digest string, err error) {
	dir, err := os.MkdirTemp(s.tmp, "put-")
	if err != nil {
		return "", fmt.Errorf("make room for code: %w", err)
	}
	defer func() {
		if rerr := os.RemoveAll(dir); err == nil && rerr != nil {
			err = fmt.Errorf("clean up after code: %w", rerr)
		}
	}()
	tree := filepath.Join(dir, "tree")
	if digest, err = Unpack(ctx, tree, archive); err == nil {
		err = s.keep(tree, digest)
	}
	if errors.Is(err, syscall.ENOSPC) {
		return "", fault.New(fault.Unavailable, "no room for the code: %w", err).WithHint("free space in the data directory, then try again")
	}
	return digest, err
}

// Unpack unpacks an archive, which need not be canonical, into a directory that it makes, and returns the digest of what it holds. An archive
// that is not acceptable is an error of kind Invalid or TooLarge that names the entry. It takes its digest from what is on disk in the end, not from what was sent.
func Unpack(ctx context.Context, dir string, archive io.Reader) (digest string, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make room for code: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("make room for code: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open room for code: %w", err)
	}
	defer root.Close()
	if err := extract(ctx, root, archive); err != nil {
		return "", err
	}
	t, err := readTree(root, nil)
	if err != nil {
		return "", err
	}
	if digest, err = t.write(root, io.Discard); err != nil {
		return "", err
	}
	return digest, syncTree(root, t)
}

// keep moves a complete tree to its place.
func (s *Store) keep(tree, digest string) error {
	h, err := ParseDigest(digest)
	if err != nil {
		return err
	}
	place := filepath.Join(s.trees, h)
	if err := os.Rename(tree, place); err != nil {
		if _, serr := os.Stat(place); serr != nil {
			return fmt.Errorf("keep code %s: %w", digest, err)
		}
	}
	now := time.Now()
	if err := os.Chtimes(place, now, now); err != nil {
		return fmt.Errorf("keep code %s: %w", digest, err)
	}
	return syncFile(os.Open(s.trees))
}

// Has says whether the digest is there. It counts as asked for: GC leaves it alone for a while.
func (s *Store) Has(digest string) bool {
	dir, err := s.Dir(digest)
	if err != nil {
		return false
	}
	now := time.Now()
	return os.Chtimes(dir, now, now) == nil
}

// Dir returns the directory of a digest, to be shown to functions read-only. NotFound when it is not there.
func (s *Store) Dir(digest string) (string, error) {
	h, err := ParseDigest(digest)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(s.trees, h)
	switch _, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.New(fault.NotFound, "there is no code %s", digest).WithHint("upload it first: PUT /v1/code/%s", digest)
	case err != nil:
		return "", fmt.Errorf("find code %s: %w", digest, err)
	}
	return dir, nil
}

// Size is how many bytes the files of a digest have. NotFound when it is not there.
func (s *Store) Size(digest string) (int64, error) {
	dir, err := s.Dir(digest)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	n, known := s.sizes[digest]
	s.mu.Unlock()
	if known {
		return n, nil
	}
	err = filepath.WalkDir(dir, func(_ string, de fs.DirEntry, err error) error {
		if err != nil || !de.Type().IsRegular() {
			return err
		}
		info, err := de.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure code %s: %w", digest, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[digest] = n
	return n, nil
}

// GC removes the digests that keep does not want and that nobody has put or asked for within the last hour, and returns
// how many those were.
func (s *Store) GC(keep func(digest string) bool) (int, error) {
	list, err := os.ReadDir(s.trees)
	if err != nil {
		return 0, fmt.Errorf("list code: %w", err)
	}
	removed := 0
	for _, de := range list {
		info, err := de.Info()
		if err != nil {
			return removed, fmt.Errorf("look at code %s: %w", de.Name(), err)
		}
		if keep(algorithm+de.Name()) || time.Since(info.ModTime()) < gcGrace {
			continue
		}
		// First out of sight, then removed: nobody sees half a tree.
		gone := filepath.Join(s.tmp, "gc-"+de.Name())
		if err := os.Rename(filepath.Join(s.trees, de.Name()), gone); err != nil {
			return removed, fmt.Errorf("remove code %s: %w", de.Name(), err)
		}
		if err := os.RemoveAll(gone); err != nil {
			return removed, fmt.Errorf("remove code %s: %w", de.Name(), err)
		}
		s.mu.Lock()
		delete(s.sizes, algorithm+de.Name())
		s.mu.Unlock()
		removed++
	}
	return removed, nil
}
