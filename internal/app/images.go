package app

import (
	"context"
	"path/filepath"

	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/registry"
)

// openImages opens the content of images and the registry over it. Both are below one directory: an upload becomes content by a rename.
func (n *Node) openImages(token string) error {
	dir := filepath.Join(n.config.Data, "images")
	var err error
	if n.blobs, err = image.OpenBlobs(filepath.Join(dir, "content")); err != nil {
		return err
	}
	n.registry, err = registry.Open(registry.Options{Dir: filepath.Join(dir, "registry"), Blobs: n.blobs, Token: token, Logger: n.logger})
	return err
}

// sweepImages removes image content that nothing needs.
func (n *Node) sweepImages(ctx context.Context) {
	needed := n.registry.Needed()
	removed, err := n.blobs.GC(func(digest string) bool { return needed[digest] })
	if err == nil && removed > 0 {
		err = n.registry.Forget(ctx)
	}
	switch {
	case err != nil:
		n.logger.Warn("image content that nobody needs could not be removed", "err", err)
	case removed > 0:
		n.logger.Info("removed image content that nobody needs", "blobs", removed)
	}
}
