package app

import (
	"context"
	"io"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/image/registry"
)

// buildImages shows the node's images to its builds.
type buildImages struct {
	n     *Node
	token string // of the node's registry
}

// Manifest implements build.Images.
func (b buildImages) Manifest(ctx context.Context, ref string) (*build.Manifest, error) {
	raw, mediaType, digest, err := b.n.puller.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &build.Manifest{Raw: raw, Type: mediaType, Digest: digest}, nil
}

// Content implements build.Images.
func (b buildImages) Content(ctx context.Context, ref, digest string, bytes int64) (io.ReadCloser, error) {
	return b.n.puller.Content(ctx, pull.Content{Reference: ref, Digest: digest, Bytes: bytes})
}

// Put implements build.Images: an image that was built is kept where those are that a deploy sends.
func (b buildImages) Put(ctx context.Context, layout, function string) (string, error) {
	f, err := pull.OpenFile(layout)
	if err != nil {
		return "", err
	}
	defer f.Close()
	f.Transport = registry.Direct{Registry: b.n.registry}
	return f.Push(ctx, "http://"+pull.OwnHost, b.token, pull.Sent+function)
}

// Place implements build.Images.
func (b buildImages) Place(ref string) (host, repository string, err error) { return pull.Place(ref) }

// Secret implements build.Secrets.
func (b buildImages) Secret(name string) ([]byte, error) { return b.n.secretValue(name) }
