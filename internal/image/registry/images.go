package registry

import (
	"maps"
	"slices"
)

// Image is what was pushed under names of its own, an index with all that it names. What only refers to another (a signature) is none.
type Image struct {
	Names     []string // "repository:tag"; "repository@digest" where it has no tag
	Digest    string
	Manifests []string // digests: its own, and of an index those that it needs, directly or not
	Bytes     int64    // of all that it needs, itself included
}

// Images lists what is here, by digest.
func (g *Registry) Images() []Image {
	byDigest := map[string]*Image{}
	all := *g.index.all.Load()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		repo := all[name]
		tags := map[string][]string{}
		for tag, digest := range repo.Tags {
			tags[digest] = append(tags[digest], name+":"+tag)
		}
		for digest, m := range repo.Manifests {
			if tags[digest] == nil && (m.Subject != "" || repo.user(digest) != "") {
				continue // a part of another
			}
			img := byDigest[digest]
			if img == nil {
				img = g.whole(repo, digest)
				byDigest[digest] = img
			}
			if tags[digest] == nil {
				img.Names = append(img.Names, name+"@"+digest)
			}
			slices.Sort(tags[digest])
			img.Names = append(img.Names, tags[digest]...)
		}
	}
	out := make([]Image, 0, len(byDigest))
	for _, digest := range slices.Sorted(maps.Keys(byDigest)) {
		out = append(out, *byDigest[digest])
	}
	return out
}

// whole follows a manifest to all that it needs.
func (g *Registry) whole(repo *repository, digest string) *Image {
	img, seen := &Image{Digest: digest}, map[string]bool{}
	var add func(digest string)
	add = func(digest string) {
		if seen[digest] {
			return
		}
		seen[digest] = true
		if size, err := g.blobs.Size(digest); err == nil { // what is being collected has none
			img.Bytes += size
		}
		if m, ok := repo.Manifests[digest]; ok {
			img.Manifests = append(img.Manifests, digest)
			for _, need := range m.Needs {
				add(need)
			}
		}
	}
	add(digest)
	return img
}
