package registry

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of the index. It is in memory, and a repository is one file that each push writes anew.
const (
	maxRepositories = 10_000
	maxManifests    = 10_000  // of one repository
	maxTags         = 10_000  // of one repository
	maxBlobs        = 50_000  // of one repository
	maxReferences   = 250_000 // from the manifests of one repository to what they need
)

// references are how many digests the manifests name, each counted as often as it is named.
func (r *repository) references() int {
	n := 0
	for _, m := range r.Manifests {
		n += len(m.Needs)
	}
	return n
}

// within refuses what a change added to a repository beyond the bounds. One that is beyond them already can get smaller.
func within(before map[string]*repository, r *repository) error {
	old := before[r.Name]
	if old == nil {
		if len(before) >= maxRepositories {
			return full("the registry has %d repositories", len(before)).hint("delete some that nobody needs: one goes with the last that is in it")
		}
		old = newRepository(r.Name)
	}
	for _, b := range []struct {
		what          string
		had, has, max int
	}{
		{"tags", len(old.Tags), len(r.Tags), maxTags},
		{"manifests", len(old.Manifests), len(r.Manifests), maxManifests},
		{"blobs", len(old.Blobs), len(r.Blobs), maxBlobs},
		{"layers and configs named by its manifests", old.references(), r.references(), maxReferences},
	} {
		if b.has > b.had && b.has > b.max {
			return full("repository %s has %d %s", r.Name, b.had, b.what).hint("delete some that nobody needs, or push to another repository")
		}
	}
	return nil
}

// full is not TOOMANYREQUESTS: clients would try that again and again by themselves.
func full(format string, args ...any) *refusal {
	e := refuse(codeDenied, fault.Exhausted, format+"; more are not taken", args...)
	e.status = http.StatusForbidden
	return e
}
