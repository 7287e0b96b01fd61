package registry

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Expire takes manifests out of the repositories whose names begin with prefix: those that no tag names, that wanted does not want, and
// that nobody has pushed or asked for within the last hour. What one that stays needs, and what refers to it, stays with it; blobs that
// none needs go too. It returns how many manifests went; the content goes with the next collection (Needed).
func (g *Registry) Expire(ctx context.Context, prefix string, wanted func(digest string) bool) (int, error) {
	stays := func(digest string) bool { return wanted(digest) || g.blobs.Fresh(digest) }
	removed := 0
	for name, repo := range *g.index.all.Load() {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if manifests, blobs := repo.clone().expire(stays); manifests+blobs == 0 {
			continue // nothing to be written
		}
		manifests := 0
		err := g.index.change(ctx, name, func(r *repository) error {
			manifests, _ = r.expire(stays)
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed += manifests
	}
	return removed, nil
}

// expire removes what is spare, and then the blobs that no manifest needs.
func (r *repository) expire(stays func(digest string) bool) (manifests, blobs int) {
	spare := r.spare(stays)
	for _, digest := range spare {
		delete(r.Manifests, digest)
	}
	needed := map[string]bool{}
	for _, m := range r.Manifests {
		for _, need := range m.Needs {
			needed[need] = true
		}
	}
	before := len(r.Blobs)
	maps.DeleteFunc(r.Blobs, func(digest string, _ bool) bool { return !needed[digest] && !stays(digest) })
	return len(spare), before - len(r.Blobs)
}

// spare lists the manifests that are neither tagged nor to stay, nor have to do with one that is.
func (r *repository) spare(stays func(digest string) bool) []string {
	about := map[string][]string{} // digest -> manifests that refer to it
	for digest, m := range r.Manifests {
		about[m.Subject] = append(about[m.Subject], digest)
	}
	kept := map[string]bool{}
	var keep func(digest string)
	keep = func(digest string) {
		m, ok := r.Manifests[digest]
		if !ok || kept[digest] {
			return
		}
		kept[digest] = true
		for _, need := range m.Needs {
			keep(need)
		}
		for _, other := range about[digest] {
			keep(other)
		}
	}
	for _, digest := range r.Tags {
		keep(digest)
	}
	for digest := range r.Manifests {
		if stays(digest) {
			keep(digest)
		}
	}
	var spare []string
	for digest := range r.Manifests {
		if !kept[digest] {
			spare = append(spare, digest)
		}
	}
	slices.Sort(spare)
	return spare
}
