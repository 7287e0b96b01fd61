package registry

import (
	"context"
	"maps"

	"github.com/dalamb/dalamb/internal/fault"
)

// Needed returns the digests of all manifests and of what they need. Content that is pushed while somebody collects by an older
// answer is young, and so kept by image.Blobs.GC.
func (g *Registry) Needed() map[string]bool {
	needed := map[string]bool{}
	for _, repo := range *g.index.all.Load() {
		for digest, m := range repo.Manifests {
			needed[digest] = true
			for _, need := range m.Needs {
				needed[need] = true
			}
		}
	}
	return needed
}

// Forget takes blobs out of the repositories whose content is gone: pushed, never used by a manifest, and collected.
func (g *Registry) Forget(ctx context.Context) error {
	gone := func(digest string) bool {
		f, _, err := g.blobs.Open(digest) // and not Has, which would keep it
		if err == nil {
			f.Close()
		}
		return fault.KindOf(err) == fault.NotFound
	}
	for name, repo := range *g.index.all.Load() {
		stale := false
		for digest := range repo.Blobs {
			stale = stale || gone(digest)
		}
		if !stale {
			continue
		}
		err := g.index.change(ctx, name, func(r *repository) error {
			maps.DeleteFunc(r.Blobs, func(digest string, _ bool) bool { return gone(digest) })
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
