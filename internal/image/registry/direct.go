package registry

import (
	"bytes"
	"io"
	"net/http"
)

// Direct brings requests to a registry of the same process.
type Direct struct{ Registry *Registry }

// maxDirect bounds what is kept of an answer, in bytes: it is for who sends, and who sends is answered in few words.
const maxDirect = 8 << 20

// RoundTrip implements http.RoundTripper.
func (d Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	a := &directAnswer{header: http.Header{}}
	d.Registry.ServeHTTP(a, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}, nil
}

// directAnswer is an answer that is kept.
type directAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *directAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *directAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *directAnswer) Write(p []byte) (int, error) {
	if a.body.Len()+len(p) > maxDirect {
		return 0, io.ErrShortBuffer
	}
	return a.body.Write(p)
}
