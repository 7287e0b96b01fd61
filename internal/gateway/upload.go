package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// upload is the body of a request that the function gets while it comes. It is a function.Upload.
type upload struct {
	g     *Gateway
	x     *exchange
	from  *http.Request // with the body as net/http gives it
	most  int64         // bytes
	major int           // version of HTTP
	busy  chan struct{} // holds a value while a Read is under way

	closed, waited atomic.Bool

	mu    sync.Mutex
	ended bool   // it has come whole
	first []byte // for the record
	size  int64  // of what has come
	err   error
	held  int64 // of the gateway's budget
	left  bool  // the connection is net/http's again
}

// errEnded is what a Read gives when nobody wants the body any more.
var errEnded = errors.New("the call is over")

// uploads says whether the body of a request is passed on while it comes, where the function can take it so: one that is longer than what is read
// whole, or of a length that is not known. What is in the log before the answer comes, and so may run again, needs it whole, and so do several
// functions that are asked together.
func (g *Gateway) uploads(r *http.Request, c *Call) bool {
	whole := c.Trigger != nil && (c.Trigger.Route.Durable || c.Trigger.Emit != nil || c.Trigger.Route.Scatter != nil)
	return !whole && r.Body != nil && r.Body != http.NoBody && (r.ContentLength < 0 || r.ContentLength > g.limits.Request)
}

func (g *Gateway) newUpload(x *exchange, r *http.Request) (*upload, error) {
	most := g.live.Load().limits.Upload
	if r.ContentLength > most {
		return nil, tooLarge("the request's body", most)
	}
	return &upload{g: g, most: most, x: x, from: &http.Request{Body: r.Body, ContentLength: r.ContentLength}, major: r.ProtoMajor, busy: make(chan struct{}, 1)}, nil
}

// Open implements function.Upload.
func (u *upload) Open() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.left {
		_ = http.NewResponseController(u.x).EnableFullDuplex() // HTTP/2 is that by itself
	}
}

// Read implements function.Upload. Each piece has the time of a whole body: a client may be slow, but not stand still.
func (u *upload) Read(p []byte) (int, error) {
	u.busy <- struct{}{}
	defer func() { <-u.busy }()
	if u.closed.Load() {
		return 0, errEnded
	}
	u.await(time.Now().Add(u.g.slow))
	if u.closed.Load() { // who closes it says so first, and ends the wait then
		return 0, errEnded
	}
	n, err := u.from.Body.Read(p)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.size += int64(n)
	u.first = append(u.first, p[:min(n, keptBody-len(u.first))]...)
	switch {
	case u.size > u.most:
		n, u.err = 0, tooLarge("the request's body", u.most)
	case err == nil:
		return n, nil
	case err == io.EOF:
		u.ended = true
		return n, io.EOF
	case u.closed.Load():
		return n, errEnded
	case errors.Is(err, os.ErrDeadlineExceeded):
		u.err = errSlow
	default:
		u.err = unread(err)
	}
	return n, u.err
}

func (u *upload) await(until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.left {
		_ = http.NewResponseController(u.x).SetReadDeadline(until) // what cannot have deadlines is not slow
	}
}

// Close implements function.Upload.
func (u *upload) Close() error {
	first := !u.closed.Swap(true)
	select {
	case u.busy <- struct{}{}:
		<-u.busy
	default:
		if first {
			u.waited.Store(true)
		}
		u.await(time.Unix(1, 0))
	}
	if u.waited.Load() {
		return errSlow
	}
	return nil
}

// Gather implements function.Upload.
func (u *upload) Gather() ([]byte, error) {
	u.busy <- struct{}{}
	defer func() { <-u.busy }()
	if u.closed.Load() {
		return nil, errEnded
	}
	body, held, err := u.g.read(u.x, u.from, u.g.limits.Request, "the request's body")
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held += held
	u.ended, u.first, u.size, u.err = err == nil, cut(body), int64(len(body)), err
	return body, err
}

// Err implements function.Upload.
func (u *upload) Err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// answered is called ahead of an answer's head. What has not come by then may never, and a connection of HTTP/1.1 carries no other request then:
// the client has to know.
func (u *upload) answered(h http.Header) {
	if u == nil || u.major > 1 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended {
		h["Connection"] = []string{"close"}
	}
}

// kept is the beginning of what has come, and the size of it all.
func (u *upload) kept() ([]byte, int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.first[:len(u.first):len(u.first)], u.size
}

// cease ends it: the connection goes back to net/http, and no Read may be on it then. The memory of what was gathered stays.
func (u *upload) cease() {
	if u == nil {
		return
	}
	_ = u.Close() // nobody asks any more
	u.busy <- struct{}{}
	<-u.busy
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left = true
}

// finish ends it when the call is over.
func (u *upload) finish() {
	u.cease()
	u.mu.Lock()
	held := u.held
	u.mu.Unlock()
	u.g.held.give(held)
}

// blamed is what a client is told whose body did not come whole. Where reading it has not failed, the function's time was up while the
// client was waited for; see Close.
func (u *upload) blamed() error {
	if err := u.Err(); err != nil {
		return err
	}
	return errSlow
}
