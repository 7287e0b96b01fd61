package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of one answer, in bytes; the next page has the rest.
const (
	maxReferrers = 2 << 20  // of descriptors, about
	maxReferring = 32 << 20 // of manifests, which are read for their annotations
)

// referrerList is an image index: distribution-spec 1.1, "Listing Referrers".
type referrerList struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// getReferrers lists the manifests whose subject is the digest. There may be none: of a manifest that is not here, too.
func (g *Registry) getReferrers(w http.ResponseWriter, r *http.Request, at place) error {
	q := r.URL.Query()
	wanted, last := q.Get("artifactType"), q.Get("last")
	out := referrerList{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{}}
	size, read := 0, int64(0)
	for _, m := range g.referring(at) {
		if m.Digest <= last || wanted != "" && m.Artifact != wanted {
			continue
		}
		if read += m.Size; read > maxReferring && len(out.Manifests) > 0 {
			linkNext(w, r, q, out.Manifests[len(out.Manifests)-1].Digest)
			break
		}
		d, err := g.describeReferrer(m)
		if err != nil {
			return err
		}
		b, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("describe manifest %s: %w", m.Digest, err)
		}
		if size += len(b); size > maxReferrers && len(out.Manifests) > 0 {
			linkNext(w, r, q, out.Manifests[len(out.Manifests)-1].Digest)
			break
		}
		out.Manifests = append(out.Manifests, d)
	}
	if wanted != "" {
		w.Header().Set("Oci-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", typeIndex)
	writeJSON(w, http.StatusOK, out)
	return nil
}

// referring lists the manifests whose subject is at.ref, sorted by digest.
func (g *Registry) referring(at place) []referrer {
	repo, err := g.index.get(at.name)
	if err != nil {
		return nil
	}
	var list []referrer
	for digest, m := range repo.Manifests {
		if m.Subject == at.ref {
			list = append(list, referrer{digest, m})
		}
	}
	slices.SortFunc(list, func(a, b referrer) int { return strings.Compare(a.Digest, b.Digest) })
	return list
}

type referrer struct {
	Digest string
	manifest
}

func (g *Registry) describeReferrer(m referrer) (descriptor, error) {
	f, _, err := g.blobs.Open(m.Digest)
	if err != nil {
		return descriptor{}, as(codeManifestUnknown, err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return descriptor{}, fmt.Errorf("read manifest %s: %w", m.Digest, err)
	}
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		return descriptor{}, fault.New(fault.Internal, "manifest %s cannot be read any more: %w", m.Digest, err)
	}
	return descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size, ArtifactType: m.Artifact, Annotations: d.Annotations}, nil
}
