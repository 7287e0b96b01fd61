package api

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of the images of a bundle, whatever is asked for.
const (
	maxExportImages = 8 << 30          // bytes, of all together
	exportPulls     = 10 * time.Minute // for what registries are asked, of all together
)

// Packing is an ability of Images: to give images away, as they are sent.
type Packing interface {
	// Parts lists what an image is sent as, its manifest first, each once. Its registry may be asked.
	Parts(ctx context.Context, img *function.Image) ([]ImagePart, error)
	// Fetch brings a part here, unless it is.
	Fetch(ctx context.Context, img *function.Image, part ImagePart) error
	// Open opens a part that is here.
	Open(digest string) (io.ReadCloser, error)
}

// ImagePart is content that an image is sent as.
type ImagePart struct {
	Digest string
	Bytes  int64
}

// images packs the images of the versions that are in the bundle, of at most so many bytes, for who may operate their functions: what is not here any more is
// pulled. An image that cannot be had, or not in time, is told, and left out.
func (e *export) images(ctx context.Context, most int64) error {
	store, ok := e.api.images.(Packing)
	if !ok {
		return nil // then no function has one
	}
	within, stop := context.WithTimeout(ctx, exportPulls)
	defer stop()
	who := access.From(ctx)
	whole := int64(0)
	held := map[string]bool{}
	type packed struct {
		img   *function.Image
		parts []ImagePart
	}
	var all []packed
	for i := range e.out.Functions {
		for _, v := range e.out.Functions[i].Versions {
			if v.Image == nil || slices.ContainsFunc(all, func(p packed) bool { return p.img.Digest == v.Image.Digest }) {
				continue
			}
			if err := who.Over(access.Operate, v.Spec.Name); err != nil {
				return err
			}
			parts, err := store.Parts(within, v.Image)
			if err != nil {
				if ctx.Err() != nil {
					return err
				}
				e.lacks("image %s: %v", v.Image.Reference, err)
				continue
			}
			for _, p := range parts {
				if !held[p.Digest] {
					held[p.Digest] = true
					whole += p.Bytes
				}
				if p.Bytes < 0 || whole > maxExportImages { // a manifest says what it likes: the sum must not run over
					return fault.New(fault.TooLarge, "the images have more than %s, which is the most that a bundle can have", function.Bytes(maxExportImages)).
						WithHint("leave --with-images out: images are named then, and pulled where they run again")
				}
			}
			all = append(all, packed{v.Image, parts})
		}
	}
	if whole > most {
		mebi := (whole + 1<<20 - 1) >> 20
		return fault.New(fault.TooLarge, "the images have %d MiB, and may have %s", mebi, function.Bytes(most)).
			WithHint("allow for them: --max-images %dMi; or leave --with-images out", mebi)
	}
	m := &e.out.Manifest
	for _, p := range all { // the bound is for all of them, and nothing is pulled for an export that is refused
		if err := fetched(within, store, p.img, p.parts); err != nil {
			if ctx.Err() != nil {
				return err
			}
			e.lacks("image %s: %v", p.img.Reference, err)
			continue
		}
		m.Packed = append(m.Packed, p.img.Digest)
		for _, part := range p.parts {
			if blob := (bundle.Blob{Digest: part.Digest, Size: part.Bytes}); !slices.Contains(e.out.Content, blob) {
				e.out.Content = append(e.out.Content, blob)
			}
		}
	}
	return nil
}

func fetched(ctx context.Context, store Packing, img *function.Image, parts []ImagePart) error {
	for _, part := range parts {
		if err := store.Fetch(ctx, img, part); err != nil {
			return err
		}
	}
	return nil
}

// content opens what images packed.
func (e *export) content(digest string) (io.ReadCloser, error) {
	return e.api.images.(Packing).Open(digest)
}
