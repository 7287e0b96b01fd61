package api

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) hasCode(r *http.Request, _ query) (any, error) {
	digest := r.PathValue("digest")
	if _, err := image.ParseDigest(digest); err != nil {
		return nil, err
	}
	if !a.code.Has(digest) {
		return nil, fault.New(fault.NotFound, "there is no code %s", digest)
	}
	return nil, nil
}

// getCode sends the canonical archive.
func (a *API) getCode(w http.ResponseWriter, r *http.Request, _ query) error {
	digest := r.PathValue("digest")
	if _, err := image.ParseDigest(digest); err != nil {
		return err
	}
	dir, err := a.code.Dir(digest)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if _, err := image.Pack(dir, w); err != nil && r.Context().Err() == nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
	return nil
}

// putCode keeps what was sent even where the digest was announced wrong: it is kept under its own digest, so nothing is mixed up.
func (a *API) putCode(r *http.Request, _ query) (any, error) {
	announced := r.PathValue("digest")
	if _, err := image.ParseDigest(announced); err != nil {
		return nil, err
	}
	digest, err := a.code.Put(r.Context(), r.Body) // Put bounds what it reads
	if err != nil {
		return nil, err
	}
	if digest != announced {
		return nil, fault.New(fault.Invalid, "the archive is %s, not %s as announced", digest, announced).
			WithHint("the digest is that of the canonical archive; was the upload cut short?")
	}
	return wire.CodeStored{Digest: digest}, nil
}
