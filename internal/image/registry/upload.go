package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// postUpload begins an upload, or saves one: by mount where the content is here already, by a body and digest that are all of it.
// distribution-spec 1.1, "Pushing Blobs".
func (g *Registry) postUpload(w http.ResponseWriter, r *http.Request, at place) error {
	q := r.URL.Query()
	if digest := q.Get("mount"); digest != "" {
		mounted, err := g.mount(r, at.name, digest)
		if err != nil {
			return err
		}
		if mounted {
			created(w, at.name, digest)
			return nil
		}
	}
	digest := q.Get("digest")
	if digest != "" {
		if err := checkDigest(digest); err != nil {
			return err
		}
	}
	id, err := g.uploads.begin()
	if err != nil {
		return err
	}
	at.ref = id
	if digest == "" {
		g.progress(w, at, 0)
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	release, err := g.uploads.claim(id)
	if err != nil {
		return err
	}
	defer release()
	if err := g.uploads.add(id, body(w, r)); err != nil {
		if rerr := g.uploads.remove(id); rerr != nil {
			g.logger.Warn("remove image upload", "err", rerr)
		}
		return err
	}
	return g.finish(w, r, at, digest)
}

// mount takes content over from another repository, or from wherever it is where none is named; false when it is not there.
func (g *Registry) mount(r *http.Request, name, digest string) (bool, error) {
	if err := checkDigest(digest); err != nil {
		return false, err
	}
	if from := r.URL.Query().Get("from"); from != "" {
		if err := checkName(from); err != nil {
			return false, err
		}
		if other, err := g.index.get(from); err != nil || !other.Blobs[digest] {
			return false, nil
		}
	}
	if _, ok := g.blobs.Has(digest); !ok {
		return false, nil
	}
	return true, g.link(r, name, digest)
}

// getUpload says how far an upload is.
func (g *Registry) getUpload(w http.ResponseWriter, _ *http.Request, at place) error {
	size, err := g.uploads.size(at.ref)
	if err != nil {
		return err
	}
	g.progress(w, at, size)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// patchUpload adds to an upload: a chunk with its Content-Range, or a stream without one.
func (g *Registry) patchUpload(w http.ResponseWriter, r *http.Request, at place) error {
	release, err := g.uploads.claim(at.ref)
	if err != nil {
		return err
	}
	defer release()
	if err := g.chunk(w, r, at); err != nil {
		return err
	}
	size, err := g.uploads.size(at.ref)
	if err != nil {
		return err
	}
	g.progress(w, at, size)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload ends an upload, with a last piece or without.
func (g *Registry) putUpload(w http.ResponseWriter, r *http.Request, at place) error {
	digest := r.URL.Query().Get("digest")
	if err := checkDigest(digest); err != nil {
		return err
	}
	release, err := g.uploads.claim(at.ref)
	if err != nil {
		return err
	}
	defer release()
	if err := g.chunk(w, r, at); err != nil {
		return err
	}
	return g.finish(w, r, at, digest)
}

func (g *Registry) deleteUpload(w http.ResponseWriter, _ *http.Request, at place) error {
	release, err := g.uploads.claim(at.ref)
	if err != nil {
		return err
	}
	defer release()
	if _, err := g.uploads.size(at.ref); err != nil {
		return err
	}
	if err := g.uploads.remove(at.ref); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// chunk adds the request's body to a claimed upload. One that does not go on where the upload ends is refused with 416, which
// says where that is.
func (g *Registry) chunk(w http.ResponseWriter, r *http.Request, at place) error {
	size, err := g.uploads.size(at.ref)
	if err != nil {
		return err
	}
	said := r.Header.Get("Content-Range")
	if said == "" {
		return g.uploads.add(at.ref, body(w, r))
	}
	first, last, err := parseRange(said)
	if err != nil {
		return err
	}
	if first != size {
		g.progress(w, at, size)
		return &refusal{code: codeUploadInvalid, status: http.StatusRequestedRangeNotSatisfiable,
			err: fault.New(fault.Conflict, "the upload goes on at byte %d, not %d", size, first).WithHint("GET %s says where it is", uploadPath(at))}
	}
	length := last - first + 1
	if r.ContentLength >= 0 && r.ContentLength != length {
		return refuse(codeSizeInvalid, fault.Invalid, "Content-Range %q is %d bytes, Content-Length %d", said, length, r.ContentLength)
	}
	in := &io.LimitedReader{R: body(w, r), N: length}
	if err := g.uploads.add(at.ref, in); err != nil {
		return err
	}
	if in.N > 0 {
		return refuse(codeSizeInvalid, fault.Invalid, "the body ended %d bytes before Content-Range %q does", in.N, said).
			hint("GET %s says how far the upload is", uploadPath(at))
	}
	return nil
}

// parseRange reads a Content-Range as the specification has it: both ends, the last one included, without a unit.
func parseRange(s string) (first, last int64, err error) {
	from, to, ok := strings.Cut(s, "-")
	if ok && len(s) < 40 && strings.Trim(from+to, "0123456789") == "" {
		var ferr, terr error
		first, ferr = strconv.ParseInt(from, 10, 64)
		last, terr = strconv.ParseInt(to, 10, 64)
		if ferr == nil && terr == nil && first <= last && last < maxBlob {
			return first, last, nil
		}
	}
	return 0, 0, refuse(codeUploadInvalid, fault.Invalid, "Content-Range %.60q is not a range", s).hint("it is FIRST-LAST in bytes, both included: 0-1023")
}

// finish makes a claimed upload a blob of its repository.
func (g *Registry) finish(w http.ResponseWriter, r *http.Request, at place, digest string) error {
	if err := g.uploads.finish(r.Context(), at.ref, digest); err != nil {
		return err
	}
	if err := g.link(r, at.name, digest); err != nil {
		return err
	}
	created(w, at.name, digest)
	return nil
}

// link makes content a blob of a repository.
func (g *Registry) link(r *http.Request, name, digest string) error {
	if known, err := g.index.get(name); err == nil && known.Blobs[digest] {
		return nil
	}
	return g.index.change(r.Context(), name, func(repo *repository) error {
		repo.Blobs[digest] = true
		return nil
	})
}

func created(w http.ResponseWriter, name, digest string) {
	w.Header().Set("Location", "/v2/"+name+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func uploadPath(at place) string { return "/v2/" + at.name + "/blobs/uploads/" + at.ref }

// progress sets the headers that say where an upload is and how far. An empty range cannot be written; 0-0 stands for it too.
func (g *Registry) progress(w http.ResponseWriter, at place, size int64) {
	w.Header().Set("Location", uploadPath(at))
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, size-1)))
	w.Header().Set("Docker-Upload-Uuid", at.ref)
}

// body is the request's body, given up when nothing of it comes for a while.
func body(w http.ResponseWriter, r *http.Request) io.Reader {
	return &patient{r: r.Body, deadline: http.NewResponseController(w).SetReadDeadline}
}

type patient struct {
	r        io.Reader
	deadline func(time.Time) error
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.deadline(time.Now().Add(stall)) // what cannot have deadlines is not slow
	n, err := p.r.Read(b)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fault.New(fault.Timeout, "nothing of the body came for %s", stall)
	case err != io.EOF:
		err = refuse(codeSizeInvalid, fault.Invalid, "the body ended before all of it had come: %w", err)
	}
	_ = p.deadline(time.Time{})
	return n, err
}
