package entry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Admit makes the body of a request what a version's functions take, ahead of Invoke: an http function gets one that comes while it is read, any other
// function the whole, as KeepBody gives it.
func Admit(v *function.Version, r *http.Request) error {
	if up, coming := r.Body.(function.Upload); coming && v.Spec.Entry.Type == function.EntryHTTP {
		up.Open()
		return nil
	}
	_, err := KeepBody(r)
	return err
}

// uploading is a request's body on its way to the function, once: it cannot be sent again.
type uploading struct {
	function.Upload
	from     *http.Request // the client's
	announce http.Header   // of the trailers, which are filled in at the end
	begun    atomic.Bool
}

// upload makes req one whose body comes while it is sent.
func upload(req, from *http.Request, body function.Upload) {
	u := &uploading{Upload: body, from: from}
	if len(from.Trailer) > 0 {
		names := make(http.Header, len(from.Trailer))
		for name := range from.Trailer {
			names[name] = []string{""}
		}
		u.announce = passedTrailers(names, req.Header)
	}
	req.Body, req.Trailer, req.ContentLength = u, u.announce, from.ContentLength
	if req.ContentLength < 0 || req.Trailer != nil {
		req.ContentLength, req.TransferEncoding = -1, []string{"chunked"}
	}
}

func (u *uploading) Read(p []byte) (int, error) {
	u.begun.Store(true)
	n, err := u.Upload.Read(p)
	if err == io.EOF {
		come := passedTrailers(u.from.Trailer, u.from.Header)
		for name := range u.announce {
			u.announce[name] = come[name]
		}
	}
	return n, err
}

// Close is called by net/http too when it has not got as far as to read: then another instance may.
func (u *uploading) Close() error {
	if !u.begun.Load() {
		return nil
	}
	return u.Upload.Close()
}

// uploadOf is the body of a request if it comes while it is sent; nil = it is whole.
func uploadOf(req *http.Request) *uploading {
	u, _ := req.Body.(*uploading)
	return u
}

// errUpload says that an exchange failed because the client did not send its whole body.
type errUpload struct{ error }

func (e errUpload) Unwrap() error { return e.error }

// blame tells an exchange that failed because of the client from any other, and ends the upload. When the function's time is up while it waits for the client,
// it is the client that was too slow: the function may serve others.
func (u *uploading) blame(err error) error {
	if u == nil || err == nil {
		return err
	}
	failed, waited := u.Err(), u.Upload.Close()
	switch late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded); {
	case failed != nil:
		return errUpload{failed}
	case late && waited != nil:
		return errUpload{waited}
	}
	return err
}

// incomplete is the result of a request whose body did not come to its end.
func incomplete(cause error) *function.Result {
	status := http.StatusBadRequest
	switch fault.KindOf(cause) {
	case fault.Timeout:
		status = http.StatusRequestTimeout
	case fault.TooLarge:
		status = http.StatusRequestEntityTooLarge
	}
	return &function.Result{
		Outcome: function.Failed, NoRetry: true, Abandoned: true, Status: status,
		Failure: &function.Failure{Type: "Request.Incomplete", Message: "the function did not get the whole request: " + cause.Error()},
	}
}

// direct hands what is read to the writer at once, where a buffer would gather it.
type direct struct{ to io.Writer }

func (d direct) Write(p []byte) (int, error) { return d.to.Write(p) }

func (d direct) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{d.to}, r)
}
