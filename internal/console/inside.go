package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// inside is a way to a handler in this process: as an http.RoundTripper, so that what stands above cannot tell it from a connection. The answer's
// body comes while the handler writes it; whoever closes it early ends the handler's context.
type inside struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper. It returns when the handler has said its status.
func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	asked := r.Clone(ctx)
	asked.RequestURI = r.URL.RequestURI()
	asked.Host, asked.RemoteAddr = r.URL.Host, "127.0.0.1:0"
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	body, pen := io.Pipe()
	a := &answer{header: http.Header{}, pen: pen, begun: make(chan struct{})}
	go func() {
		defer cancel()
		defer func() {
			if bad := recover(); bad != nil {
				a.failed = fmt.Errorf("the control API broke off: %v", bad)
				pen.CloseWithError(a.failed)
				a.begin(http.StatusInternalServerError)
				return
			}
			a.begin(http.StatusOK)
			pen.Close()
		}()
		i.handler.ServeHTTP(a, asked)
	}()
	select {
	case <-a.begun:
	case <-ctx.Done():
		if err := context.Cause(r.Context()); err != nil {
			body.Close()
			return nil, err
		}
		<-a.begun // the handler has ended by itself; that its body ends is still to be read
	}
	if a.failed != nil {
		return nil, a.failed
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.said, Body: &reading{body, cancel}, ContentLength: -1, Request: r,
	}, nil
}

// answer is an http.ResponseWriter whose body is read at the other end of a pipe.
type answer struct {
	header http.Header
	pen    *io.PipeWriter
	once   sync.Once
	begun  chan struct{} // closed when the status is known
	// Of what follows nothing changes once begun is closed.
	status int
	said   http.Header
	failed error
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) begin(status int) {
	a.once.Do(func() {
		a.status, a.said = status, a.header.Clone()
		close(a.begun)
	})
}

func (a *answer) WriteHeader(status int) {
	if status >= 200 { // what comes before is no answer yet
		a.begin(status)
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.pen.Write(b)
}

// FlushError is for http.ResponseController: what is written is with its reader already.
func (a *answer) FlushError() error {
	a.begin(http.StatusOK)
	return nil
}

// reading ends the handler when its reader wants no more.
type reading struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (r *reading) Close() error {
	r.cancel()
	return errors.Join(r.PipeReader.Close())
}
