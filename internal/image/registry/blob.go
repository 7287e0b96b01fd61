package registry

import (
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// getBlob gives content, or the part of it that Range asks for; HEAD says whether it is there.
func (g *Registry) getBlob(w http.ResponseWriter, r *http.Request, at place) error {
	repo, err := g.index.get(at.name)
	if err != nil {
		return err
	}
	if !repo.Blobs[at.ref] {
		return noBlob(at)
	}
	// A client that asks whether it has to push this may refer to it soon: it is kept until then.
	if _, ok := g.blobs.Has(at.ref); !ok {
		return noBlob(at)
	}
	f, _, err := g.blobs.Open(at.ref)
	if err != nil {
		return as(codeBlobUnknown, err)
	}
	defer f.Close()
	describe(w, at.ref, "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// describe sets the headers of content that is served: it is its digest, and so never changes.
func describe(w http.ResponseWriter, digest, mediaType string) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Docker-Content-Digest", digest)
	h.Set("Etag", `"`+digest+`"`)
	h.Set("X-Content-Type-Options", "nosniff") // it is somebody's data, whatever a browser makes of it
}

// deleteBlob takes a blob out of a repository. The content goes later, when nothing else needs it.
func (g *Registry) deleteBlob(w http.ResponseWriter, r *http.Request, at place) error {
	if _, err := g.index.get(at.name); err != nil {
		return err
	}
	err := g.index.change(r.Context(), at.name, func(repo *repository) error {
		if !repo.Blobs[at.ref] {
			return noBlob(at)
		}
		if by := repo.user(at.ref); by != "" {
			return stillNeeded(at.ref, by)
		}
		delete(repo.Blobs, at.ref)
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func noBlob(at place) error {
	return refuse(codeBlobUnknown, fault.NotFound, "repository %s has no blob %s", at.name, at.ref)
}

// stillNeeded refuses to take away what a manifest of the repository needs.
func stillNeeded(digest, by string) error {
	return &refusal{code: codeUnsupported, status: http.StatusMethodNotAllowed,
		err: fault.New(fault.Conflict, "%s is needed by manifest %s", digest, by).WithHint("delete that one first")}
}
