package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Layers holds the layers of images, unpacked, by their diff id: the digest of the tar archive that a layer is. Each is there once,
// however many images have it, in the form that overlayfs takes as a lower directory. What is there is whole and durable. Safe for
// concurrent use; one process at a time.
type Layers struct {
	trees string // <dir>/sha256/<hex>: complete ones only, they come here by rename
	tmp   string // <dir>/tmp: those that come or go; empty after OpenLayers
	room  room

	maxBytes   int64 // of one layer; see MaxLayerBytes
	maxEntries int
}

// Bounds of one unpacked layer.
const (
	MaxLayerBytes   = 10 << 30 // AWS Lambda's bound for an unpacked image
	MaxLayerEntries = 1_000_000
)

// headerRoom is how much more than its files a layer's archive may be.
const headerRoom = 1 << 30

// Names in the directory of a layer.
const (
	layerTree = "tree"
	layerSize = "bytes" // a decimal number
)

// OpenLayers opens or makes the store in dir and removes what an interrupted Put or GC left. Nobody but this user may look into it:
// the files belong to the users that images name.
func OpenLayers(dir string) (*Layers, error) {
	l := &Layers{
		trees: filepath.Join(dir, "sha256"), tmp: filepath.Join(dir, "tmp"), room: roomOf(dir, "the image"),
		maxBytes: MaxLayerBytes, maxEntries: MaxLayerEntries,
	}
	if err := os.RemoveAll(l.tmp); err != nil {
		return nil, fmt.Errorf("clean layers: %w", err)
	}
	for _, d := range []string{dir, l.trees, l.tmp} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make room for layers: %w", err)
		}
	}
	return l, nil
}

// LayerSource is a layer as it is stored and sent.
type LayerSource struct {
	DiffID string    // of the tar archive
	Digest string    // of the bytes of Content, "" = not checked
	Bytes  io.Reader // the archive, plain or compressed by gzip or zstd
}

// Put unpacks a layer. When it returns nil the layer is on disk and survives a crash. One that is there already is left as it is. A
// layer that is not acceptable, or not what its digests say, is an error of kind Invalid or TooLarge; that and every other error
// changes nothing.
func (l *Layers) Put(ctx context.Context, s LayerSource) (err error) {
	h, err := ParseDigest(s.DiffID)
	if err != nil {
		return err
	}
	if l.Has(s.DiffID) {
		return nil
	}
	dir, err := os.MkdirTemp(l.tmp, "put-")
	if err != nil {
		return fmt.Errorf("make room for layer %s: %w", s.DiffID, noSpace(err))
	}
	defer func() {
		if rerr := os.RemoveAll(dir); err == nil && rerr != nil {
			err = fmt.Errorf("clean up after layer %s: %w", s.DiffID, rerr)
		}
	}()
	unpacked := filepath.Join(dir, "layer")
	if err := l.unpack(ctx, unpacked, s); err != nil {
		return fmt.Errorf("unpack layer %s: %w", s.DiffID, noSpace(err))
	}
	place := filepath.Join(l.trees, h)
	if err := os.Rename(unpacked, place); err != nil && !l.Has(s.DiffID) {
		return fmt.Errorf("keep layer %s: %w", s.DiffID, noSpace(err))
	}
	return syncFile(os.Open(l.trees))
}

// unpack makes the directory of a layer and makes it durable.
func (l *Layers) unpack(ctx context.Context, dir string, s LayerSource) error {
	tree := filepath.Join(dir, layerTree)
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	archive, err := newArchive(wanted(ctx, s.Bytes), l.maxBytes+headerRoom)
	if err != nil {
		return err
	}
	defer archive.close()
	u := newUnpacker(root, l)
	err = u.all(archive.tar)
	if serr := u.syncs.Wait(); err == nil {
		err = serr
	}
	if err != nil {
		return archive.explain(err)
	}
	if err := archive.verify(s); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, layerSize), strconv.AppendInt(nil, u.bytes, 10), 0o600); err != nil {
		return err
	}
	return u.syncDirs(dir)
}

// Has says whether the layer is there. It counts as asked for: GC leaves it alone for a while.
func (l *Layers) Has(diffID string) bool {
	h, err := ParseDigest(diffID)
	if err != nil {
		return false
	}
	now := time.Now()
	return os.Chtimes(filepath.Join(l.trees, h), now, now) == nil
}

// Dir returns the directory of a layer, for runner.Spec.Root. NotFound when it is not there.
func (l *Layers) Dir(diffID string) (string, error) {
	h, err := ParseDigest(diffID)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(l.trees, h, layerTree)
	switch _, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fault.New(fault.NotFound, "there is no layer %s", diffID).WithHint("deploy the function again, which pulls its image")
	case err != nil:
		return "", fmt.Errorf("find layer %s: %w", diffID, err)
	}
	return dir, nil
}

// Size is how many bytes the files of a layer have. NotFound when it is not there.
func (l *Layers) Size(diffID string) (int64, error) {
	dir, err := l.Dir(diffID)
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), layerSize))
	if err != nil {
		return 0, fmt.Errorf("read the size of layer %s: %w", diffID, err)
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the size of layer %s: %w", diffID, err)
	}
	return n, nil
}

// Walk calls visit for each layer that is there, with the bytes that its files have, in no particular order. It ends with visit's first
// error.
func (l *Layers) Walk(visit func(diffID string, size int64) error) error {
	list, err := os.ReadDir(l.trees)
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, de := range list {
		size, err := l.Size(algorithm + de.Name())
		if fault.KindOf(err) == fault.NotFound {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		if err := visit(algorithm+de.Name(), size); err != nil {
			return err
		}
	}
	return nil
}

// GC removes the layers that keep does not want and that nobody has put or asked for (Has) within the last hour, and returns how many
// those were.
func (l *Layers) GC(keep func(diffID string) bool) (int, error) {
	list, err := os.ReadDir(l.trees)
	if err != nil {
		return 0, fmt.Errorf("list layers: %w", err)
	}
	removed := 0
	for _, de := range list {
		place := filepath.Join(l.trees, de.Name())
		if keep(algorithm+de.Name()) || young(place) {
			continue
		}
		// First out of sight, then removed: nobody sees half a layer.
		gone := filepath.Join(l.tmp, aside+de.Name())
		if err := os.Rename(place, gone); err != nil {
			return removed, fmt.Errorf("remove layer %s: %w", de.Name(), err)
		}
		if young(gone) {
			if err := os.Rename(gone, place); err != nil {
				return removed, fmt.Errorf("bring layer %s back: %w", de.Name(), err)
			}
			continue
		}
		if err := os.RemoveAll(gone); err != nil {
			return removed, fmt.Errorf("remove layer %s: %w", de.Name(), err)
		}
		removed++
	}
	return removed, nil
}

// counter hashes and counts what is read.
type counter struct {
	r   io.Reader
	sum hash.Hash
	n   int64
	err error // that r gave, other than its end
}

func newCounter(r io.Reader) *counter { return &counter{r: r, sum: sha256.New()} }

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

func (c *counter) digest() string { return digestOf(c.sum.Sum(nil)) }
