package pull

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Held is an image whose content somebody has by its digests, to be pushed.
type Held struct {
	From     string // where that is, for messages
	Manifest string // digest
	Open     func(digest string) (content io.ReadCloser, size int64, err error)
}

// File reads the manifest and the config of an image that is held.
func (h Held) File() (*File, error) {
	raw, err := h.small(h.Manifest)
	if err != nil {
		return nil, notWhole(h.From, err)
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, notWhole(h.From, fmt.Errorf("manifest %s: %w", h.Manifest, err))
	}
	config, err := h.small(m.Config.Digest.String())
	if err != nil {
		return nil, notWhole(h.From, err)
	}
	img, err := partial.CompressedToImage(&heldImage{h, raw, config, m})
	if err != nil {
		return nil, notWhole(h.From, err)
	}
	return &File{path: h.From, image: img}, nil
}

func (h Held) small(digest string) ([]byte, error) {
	r, size, err := h.Open(digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxSmall {
		return nil, tooLarge(digest, size)
	}
	return io.ReadAll(r)
}

// heldImage implements partial.CompressedImageCore.
type heldImage struct {
	held        Held
	raw, config []byte
	*v1.Manifest
}

func (i *heldImage) RawManifest() ([]byte, error)   { return i.raw, nil }
func (i *heldImage) RawConfigFile() ([]byte, error) { return i.config, nil }

func (i *heldImage) MediaType() (types.MediaType, error) {
	if i.Manifest.MediaType == "" { // which OCI's own may leave out // OCI image-spec manifest.md
		return types.OCIManifestSchema1, nil
	}
	return i.Manifest.MediaType, nil
}

// LayerByDigest finds the config too, which is sent as layers are.
func (i *heldImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for _, d := range append([]v1.Descriptor{i.Config}, i.Layers...) {
		if d.Digest == digest {
			return heldLayer{i.held, d}, nil
		}
	}
	return nil, errors.New("the image has no layer " + digest.String())
}

// heldLayer implements partial.CompressedLayer.
type heldLayer struct {
	held Held
	of   v1.Descriptor
}

func (l heldLayer) Digest() (v1.Hash, error)            { return l.of.Digest, nil }
func (l heldLayer) Size() (int64, error)                { return l.of.Size, nil }
func (l heldLayer) MediaType() (types.MediaType, error) { return l.of.MediaType, nil }
func (l heldLayer) Compressed() (io.ReadCloser, error) {
	r, _, err := l.held.Open(l.of.Digest.String())
	return r, err
}
