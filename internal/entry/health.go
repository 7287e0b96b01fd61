package entry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// Prober is a Conn that can be asked whether its function is well, beside its invocations.
type Prober interface {
	// Probe GETs a path of the function; a status from 200 to 399 is well. It blocks until the answer or ctx ends. ErrBusy: there was none, and
	// the function has a call that it may be busy with.
	Probe(ctx context.Context, path string) error
}

// ErrBusy says that a function serves one connection at a time, and is at a call: whether it is well, that call and its time-out tell.
var ErrBusy = errors.New("the function is busy with a call")

// Probe implements Prober. Over HTTP/1.1 the question has a connection of its own. A server of one connection at a time does not accept it before
// the one that is idle has ended, so none stays idle meanwhile; nor does this one afterwards, which would hold up the next call.
func (c *httpConn) Probe(ctx context.Context, path string) error {
	at, err := url.ParseRequestURI(path)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	at.Scheme, at.Host = "http", c.start.Version.Function()
	req := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: at,
		Header: http.Header{"User-Agent": {"dalamb"}},
	}
	until, bounded := ctx.Deadline()
	if !bounded {
		until = time.Now().Add(c.timeout())
	}
	by := c.client
	if calls, is := c.client.(*httpClient); is {
		defer calls.giveWay()()
		by, req.Close = &httpClient{dial: c.dialUntil(ctx)}, true
	}
	over, busy := c.over.Load(), c.calls.Load() > 0
	if busy && c.deaf.Load() == over+1 {
		return ErrBusy // with the same calls as before: no more questions shall wait there than one
	}
	a, err := by.begin(req, until, nil)
	late := ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case err != nil && late && (busy || c.calls.Load() > 0) && c.mayWait(err):
		c.deaf.Store(over + 1)
		return ErrBusy
	case err != nil && late:
		return fmt.Errorf("GET %s was not answered in time", path)
	case err != nil:
		return fmt.Errorf("GET %s: %w", path, err)
	}
	a.end(false)
	if a.StatusCode < 200 || a.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %d", path, a.StatusCode)
	}
	return nil
}

// dialUntil dials connections that end with ctx.
func (c *httpConn) dialUntil(ctx context.Context) func(context.Context) (net.Conn, error) {
	return func(dialing context.Context) (net.Conn, error) {
		nc, err := c.box.Dial(dialing)
		if err == nil {
			context.AfterFunc(ctx, func() { nc.Close() })
		}
		return nc, err
	}
}

// mayWait says whether the connection of a question without an answer waits until the function accepts it, or has not even found a place
// among those that do. Where the sandbox cannot tell, the connections of a function that takes one call at a time do.
func (c *httpConn) mayWait(cause error) bool {
	if _, unsent := errors.AsType[errDial](cause); unsent {
		return true
	}
	silent, is := errors.AsType[errStale](cause)
	if !is {
		return false
	}
	if box, can := c.box.(runner.AcceptTeller); can {
		if waits, err := box.Waits(silent.from); err == nil {
			return waits
		}
	}
	return c.alone
}
