package entry

import (
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	// smallAnswer is up to which announced length an answer is collected though it could be streamed, in bytes.
	smallAnswer = 64 << 10
	// streamChunk is how much of a stream is passed on at a time, in bytes.
	streamChunk = 32 << 10
)

// streams says whether an answer is passed on as it comes. A small one is as quick in one piece; what may be events or a failure
// has to be read as a whole.
func streams(resp *http.Response) bool {
	switch {
	case resp.StatusCode < 200 || resp.StatusCode >= 400, resp.Request.Method == http.MethodHead:
		return false
	case resp.Header["Ce-Specversion"] != nil, strings.HasPrefix(strings.ToLower(resp.Header.Get("Content-Type")), "application/cloudevents"):
		return false
	}
	return resp.ContentLength < 0 || resp.ContentLength > smallAnswer
}

// stream passes an answer on. An error says that the function's side ended before the answer did.
func (c *httpConn) stream(inv *function.Invocation, a *answering) (*function.Result, error) {
	r, err := pass(inv.Responder, a)
	if err == nil {
		return r, nil
	}
	failed, err := c.broken(inv, err)
	if err != nil {
		return nil, err
	}
	return brokenOff(failed, r), nil
}

// brokenOff is what came of an answer that failed in its midst: the client was told the status and a part of it.
func brokenOff(failed, begun *function.Result) *function.Result {
	failed.Status, failed.Header, failed.Streamed = begun.Status, begun.Header, begun.Streamed
	return failed
}

// pass hands an answer on as it comes. An error says that the other side ended before the answer did, of which the result is the beginning.
func pass(to function.Responder, a *answering) (*function.Result, error) {
	announced := slices.Sorted(maps.Keys(a.Trailer))
	dropHopByHop(a.Header)
	r := &function.Result{Outcome: function.Succeeded, Status: a.StatusCode, Header: a.Header}
	w, err := to.Respond(function.Head{Status: a.StatusCode, Header: a.Header, Length: a.ContentLength, Trailer: announced})
	if err != nil {
		a.end(false)
		r.Abandoned = true
		return r, nil
	}
	p := passing{from: a.Body, cut: a.cut, to: w, gone: to.Gone(), limit: math.MaxInt64}
	err = a.reason(p.run())
	a.end(err == nil && !p.abandoned)
	r.Streamed, r.Abandoned = p.n, p.abandoned
	if p.abandoned || err == nil {
		r.Trailer = trailers(a.Trailer)
		return r, nil
	}
	return r, err
}

// passing is an answer on its way from the function to the client.
type passing struct {
	from  io.Reader
	cut   func() // ends a Read that waits
	to    io.Writer
	gone  <-chan struct{}
	limit int64 // bytes

	n         int64
	abandoned bool // by the client
	large     bool // there was more than limit
}

// run copies to the end of the answer, or until the client is gone: then the function's connection is cut, so that it notices.
func (p *passing) run() error {
	over, left := make(chan struct{}), false
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-p.gone:
			left = true
			p.cut()
		case <-over:
		}
	})
	err := p.copy()
	close(over)
	watch.Wait()
	p.abandoned = p.abandoned || left && err != nil
	return err
}

func (p *passing) copy() error {
	buf := make([]byte, streamChunk)
	for {
		n, err := p.from.Read(buf)
		if int64(n) > p.limit-p.n {
			p.large = true
			return nil
		}
		if n > 0 {
			written, unsent := p.to.Write(buf[:n])
			p.n += int64(written)
			if unsent != nil {
				p.abandoned = true
				return nil
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}
