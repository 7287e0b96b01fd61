// Package provision gives a node the container images that functions run in: at the deploy, before the version exists, and in the
// background for versions that other nodes made. No invocation ever waits for a registry. It does not start anything: fleet asks it
// for directories (Root).
package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/codeshare"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/pull"
)

// parallel is how many layers are brought at a time, over all images.
const parallel = 4

// Share carries content to the other nodes of a log, which codeshare.Store does.
type Share interface {
	// ShareContent puts content into the log and says where it stands; nil = no other node has this log.
	ShareContent(ctx context.Context, digest string, open func() (io.ReadCloser, error)) (*function.Stored, error)
	// FetchContent calls put with content that stands in the log.
	FetchContent(ctx context.Context, digest string, at function.Stored, put func(io.Reader) error) error
}

// Versions are the functions' versions, as the catalog has them.
type Versions interface {
	// Wanted lists the versions that may be run, and a channel that is closed when that changes.
	Wanted() (versions []*function.Version, changed <-chan struct{})
}

// Options of New. All are required.
type Options struct {
	Puller   *pull.Puller
	Blobs    *image.Blobs
	Layers   *image.Layers
	Share    Share
	Versions Versions
	Logger   *slog.Logger
}

// Keeper has the images of this node's functions. Safe for concurrent use.
type Keeper struct {
	o     Options
	slots chan struct{} // one for each layer that is being brought

	mu      sync.Mutex
	trouble map[string]error // by digest of the image: why it is not here
	pulls   map[*Pull]struct{}
}

// New checks the options.
func New(o Options) (*Keeper, error) {
	if o.Puller == nil || o.Blobs == nil || o.Layers == nil || o.Share == nil || o.Versions == nil || o.Logger == nil {
		return nil, errors.New("provision needs all of its options")
	}
	return &Keeper{o: o, slots: make(chan struct{}, parallel), trouble: map[string]error{}, pulls: map[*Pull]struct{}{}}, nil
}

// Prepare brings the image that spec names, whole, and returns what a version records of it. What the image says and spec does not
// is filled in. nil = spec names no image. pulled are the layers that were not here.
func (k *Keeper) Prepare(ctx context.Context, spec *function.Spec) (img *function.Image, pulled []function.Layer, err error) {
	ref := spec.ImageRef()
	if ref == "" {
		return nil, nil, nil
	}
	found, err := k.o.Puller.Resolve(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	img = &function.Image{Reference: ref, Digest: found.Digest}
	for _, l := range found.Layers {
		img.Layers = append(img.Layers, function.Layer{Digest: l.Digest, DiffID: l.DiffID, Bytes: l.Bytes})
	}
	if pulled, err = k.bring(ctx, img); err != nil {
		return nil, nil, err
	}
	k.note(img, nil)
	if err := k.configure(spec, img, &found.Config); err != nil {
		return nil, nil, err
	}
	return img, pulled, nil
}

// Publish puts the layers that no other node can pull into the log, and notes in img where they stand.
func (k *Keeper) Publish(ctx context.Context, img *function.Image) error {
	if img == nil || !k.o.Puller.Local(img.Reference) {
		return nil
	}
	for i := range img.Layers {
		l := &img.Layers[i]
		at, err := k.o.Share.ShareContent(ctx, l.Digest, func() (io.ReadCloser, error) {
			f, _, err := k.o.Blobs.Open(l.Digest)
			return f, err
		})
		if err != nil {
			return fmt.Errorf("share layer %d of image %s: %w", i+1, img.Reference, err)
		}
		l.Stored = at
	}
	return nil
}

// Root lists the directories of an image's layers, the lowest first. It does not block; Unavailable when the image is not here yet.
func (k *Keeper) Root(img *function.Image) ([]string, error) {
	dirs := make([]string, len(img.Layers))
	for i, l := range img.Layers {
		k.o.Layers.Has(l.DiffID) // what is about to be run is kept for a while, whatever becomes of its function
		dir, err := k.o.Layers.Dir(l.DiffID)
		if fault.KindOf(err) == fault.NotFound {
			return nil, k.notHere(img)
		}
		if err != nil {
			return nil, err
		}
		dirs[i] = dir
	}
	return dirs, nil
}

// notHere says why an image cannot be run on this node.
func (k *Keeper) notHere(img *function.Image) error {
	k.mu.Lock()
	why := k.trouble[img.Digest]
	k.mu.Unlock()
	if why == nil {
		return fault.New(fault.Unavailable, "image %s (%s) is not on this node yet; it is being pulled", img.Reference, img.Digest).WithHint("try again in a moment")
	}
	e := fault.New(fault.Unavailable, "image %s (%s) is not on this node: %w", img.Reference, img.Digest, why)
	e.Hint = fault.HintOf(why)
	return e
}

// Trouble says why an image cannot be run on this node; nil = it can, or is on its way.
func (k *Keeper) Trouble(img *function.Image) error {
	if img == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trouble[img.Digest]
}

// Run brings the images of all versions that may be run, as soon as the catalog names them, until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	return codeshare.Follow(ctx, k.o.Versions.Wanted, func(v *function.Version) bool { return k.bringFor(ctx, v) })
}

// bringFor brings the image of a version, and says whether it is here.
func (k *Keeper) bringFor(ctx context.Context, v *function.Version) bool {
	if v.Image == nil {
		return true
	}
	_, err := k.bring(ctx, v.Image)
	k.note(v.Image, err)
	if err != nil && ctx.Err() == nil {
		k.o.Logger.Warn("bring the image of a function", "function", v.Function(), "version", v.Number, "image", v.Image.Reference, "digest", v.Image.Digest, "err", err)
	}
	return err == nil
}

func (k *Keeper) note(img *function.Image, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		delete(k.trouble, img.Digest)
	} else {
		k.trouble[img.Digest] = err
	}
}

// Bring sees to it that an image can be run on this node, and blocks until it can.
func (k *Keeper) Bring(ctx context.Context, img *function.Image) error {
	_, err := k.bring(ctx, img)
	if ctx.Err() == nil {
		k.note(img, err)
	}
	return err
}

// bring sees to it that all layers of an image are here, unpacked, and returns those that were not.
func (k *Keeper) bring(ctx context.Context, img *function.Image) (missing []function.Layer, err error) {
	var at []int // in the image
	for i, l := range img.Layers {
		if !k.o.Layers.Has(l.DiffID) {
			missing, at = append(missing, l), append(at, i+1)
		}
	}
	if missing == nil {
		return nil, nil
	}
	p := k.begin(img, missing)
	defer k.end(p)
	g, ctx := errgroup.WithContext(ctx)
	for i, l := range missing {
		g.Go(func() error {
			select {
			case k.slots <- struct{}{}:
				defer func() { <-k.slots }()
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := k.layer(ctx, img, l, p); err != nil {
				return fmt.Errorf("layer %d of %d of image %s: %w", at[i], len(img.Layers), img.Reference, err)
			}
			k.came(p, 0, 1)
			return nil
		})
	}
	return missing, g.Wait()
}

// layer brings one layer.
func (k *Keeper) layer(ctx context.Context, img *function.Image, l function.Layer, p *Pull) error {
	if err := k.content(ctx, img, l, p); err != nil {
		return err
	}
	f, _, err := k.o.Blobs.Open(l.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	return k.o.Layers.Put(ctx, image.LayerSource{DiffID: l.DiffID, Digest: l.Digest, Bytes: f})
}

// content brings what a layer is sent as: from the log where it stands there, else from the registry.
func (k *Keeper) content(ctx context.Context, img *function.Image, l function.Layer, p *Pull) error {
	if _, ok := k.o.Blobs.Has(l.Digest); ok {
		k.came(p, l.Bytes, 0)
		return nil
	}
	if l.Stored != nil {
		defer k.came(p, l.Bytes, 0)
		return k.o.Share.FetchContent(ctx, l.Digest, *l.Stored, func(r io.Reader) error {
			_, err := k.o.Blobs.Put(ctx, l.Digest, r)
			return err
		})
	}
	return k.o.Puller.Fetch(ctx, pull.Content{
		Reference: img.Reference, Digest: l.Digest, Bytes: l.Bytes, Came: func(n int) { k.came(p, int64(n), 0) },
	})
}
