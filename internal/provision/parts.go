package provision

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Part is content that an image is sent as.
type Part struct {
	Digest string
	Bytes  int64
}

// Parts are the manifest of an image that a version has, its config and its layers, in this order and each once. Of them only the manifest is brought here.
func (k *Keeper) Parts(ctx context.Context, img *function.Image) ([]Part, error) {
	raw, err := k.manifest(ctx, img)
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fault.New(fault.Invalid, "the manifest of image %s is not JSON", img.Reference)
	}
	parts := []Part{{img.Digest, int64(len(raw))}}
	seen := map[string]bool{}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if digest := d.Digest.String(); !seen[digest] {
			seen[digest] = true
			parts = append(parts, Part{digest, d.Size})
		}
	}
	return parts, nil
}

// manifest reads that of an image. What the own registry has is here; another registry has to be asked once more, because of its images nothing but layers is needed to run them.
func (k *Keeper) manifest(ctx context.Context, img *function.Image) ([]byte, error) {
	if _, ok := k.o.Blobs.Has(img.Digest); !ok {
		raw, _, digest, err := k.o.Puller.Manifest(ctx, img.ByDigest())
		if err != nil {
			return nil, err
		}
		if digest != img.Digest {
			return nil, fault.New(fault.Invalid, "the registry gave %s as the manifest %s of image %s", digest, img.Digest, img.Reference)
		}
		if _, err := k.o.Blobs.Put(ctx, digest, bytes.NewReader(raw)); err != nil {
			return nil, err
		}
	}
	r, err := k.Open(img.Digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of image %s: %w", img.Reference, err)
	}
	return raw, nil
}

// Fetch brings a part of an image here, unless it is.
func (k *Keeper) Fetch(ctx context.Context, img *function.Image, part Part) error {
	layer := function.Layer{Digest: part.Digest, Bytes: part.Bytes, Stored: img.Stored(part.Digest)}
	p := k.begin(img, []function.Layer{layer})
	defer k.end(p)
	at := *img
	at.Reference = img.ByDigest()
	return k.content(ctx, &at, layer, p)
}

// Open opens a part that is here. It is kept for a while from now on.
func (k *Keeper) Open(digest string) (io.ReadCloser, error) {
	k.o.Blobs.Has(digest)
	r, _, err := k.o.Blobs.Open(digest)
	return r, err
}
