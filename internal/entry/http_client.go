package entry

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// idleConn is shorter than the keep-alive time of common servers (Node: 5 s), so that it is dalamb that closes.
	idleConn = 4 * time.Second
	// sentAtOnce is how large a request may be that is written before its answer is read, in bytes: it fits into the buffers of any
	// socket, so a function that answers without having read it all cannot make both sides wait for each other.
	sentAtOnce = 32 << 10
	// lastWrite is how long a request may still be on its way when its answer has come whole.
	lastWrite = 5 * time.Millisecond
)

// httpClient speaks HTTP/1.1 to one instance. Messages are written and parsed by net/http, but by the goroutine that has the
// invocation: http.Transport hands each exchange to two goroutines and back, which costs as much time as a small function takes.
type httpClient struct {
	dial func(context.Context) (net.Conn, error)
	keep int // idle connections, at most

	mu     sync.Mutex
	closed bool
	aside  int         // those that want no connection idle now
	idle   []*httpWire // the last used last
	sweep  *time.Timer // closes those that are idle for long; nil = none is
}

// httpWire is one connection. It has one user at a time.
type httpWire struct {
	nc    net.Conn
	in    headReader
	br    *bufio.Reader
	out   bytes.Buffer
	used  bool // it has carried an exchange before
	since time.Time
	from  int // the port that it was dialled from; 0 = it has none
}

// errDial marks what happened before a byte was sent.
type errDial struct{ error }

func (e errDial) Unwrap() error { return e.error }

// errStale is the end of a connection on which nothing has come back.
type errStale struct {
	error
	sent bool // the function may have got the request
	from int  // the port that the connection was dialled from; 0 = not known
}

func (e errStale) Unwrap() error { return e.error }

// wireTurn is the exchange that a connection carries.
type wireTurn struct {
	client *httpClient
	wire   *httpWire
	resp   *http.Response
	sent   <-chan error // of a request that may still be on its way; nil = it has been sent
	body   *uploading   // of that request; nil = it was whole
}

// begin implements httpSpeaker. A connection that the function closed while it was idle does not count, where the request cannot have had effects.
func (h *httpClient) begin(req *http.Request, until time.Time, inform informing) (*answering, error) {
	var w *httpWire
	// One that cannot be sent twice goes over a connection that cannot have been closed meanwhile. A server of one connection at a time
	// would not accept that before the one that is idle has ended.
	fresh := uploadOf(req) != nil
	if !fresh || h.keep == 1 {
		w = h.take(until)
	}
	if fresh && w != nil {
		w.nc.Close()
		w = nil
	}
	for {
		if w == nil {
			var err error
			if w, err = h.connect(until); err != nil {
				return nil, err
			}
		}
		t, err := w.exchange(req, inform)
		if err == nil {
			t.client = h
			return &answering{Response: t.resp, httpTurn: t}, nil
		}
		w.nc.Close()
		if !w.used || !again(req, err) {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		w = nil
	}
}

// end gives the connection back when the body has come whole, and closes it otherwise.
func (t *wireTurn) end(whole bool) {
	if !whole {
		t.wire.nc.Close()
	}
	if t.sent != nil {
		_ = t.wire.nc.SetWriteDeadline(time.Now().Add(lastWrite)) // of a connection that is closed already nothing is sent either
		if t.unsent(whole) != nil {
			t.resp.Close = true
		}
	}
	if whole {
		t.client.put(t.wire, t.resp)
	}
}

// unsent waits for the end of the request, and for that of the client's body no longer than there is use in it.
func (t *wireTurn) unsent(whole bool) error {
	if t.body != nil {
		if whole {
			timer := time.NewTimer(lastWrite)
			defer timer.Stop()
			select {
			case err := <-t.sent:
				return err
			case <-timer.C:
			}
		}
		_ = t.body.Upload.Close() // says whether it was waited for, which blame asks again
	}
	return <-t.sent
}

// cut implements httpTurn. Of a connection that is closed nothing is read either.
func (t *wireTurn) cut() { _ = t.wire.nc.SetReadDeadline(time.Unix(1, 0)) }

func (t *wireTurn) reason(err error) error { return t.body.blame(t.wire.in.reason(err)) }

// take returns an idle connection that the function has not closed, nil when there is none.
func (h *httpClient) take(until time.Time) *httpWire {
	for {
		h.mu.Lock()
		n := len(h.idle)
		if n == 0 {
			h.mu.Unlock()
			return nil
		}
		w := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		h.mu.Unlock()
		if time.Since(w.since) < idleConn && w.nc.SetDeadline(until) == nil && quiet(w.nc) {
			return w
		}
		w.nc.Close()
	}
}

func (h *httpClient) connect(until time.Time) (*httpWire, error) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	nc, err := h.dial(ctx)
	if err != nil {
		return nil, errDial{err}
	}
	if err := nc.SetDeadline(until); err != nil {
		nc.Close()
		return nil, errDial{err}
	}
	w := &httpWire{nc: nc, in: headReader{r: nc}}
	w.br = bufio.NewReader(&w.in)
	if at, ok := nc.LocalAddr().(*net.TCPAddr); ok {
		w.from = at.Port
	}
	return w, nil
}

// put keeps a connection for the next request, if both sides can go on with it.
func (h *httpClient) put(w *httpWire, resp *http.Response) {
	if resp.Close || resp.StatusCode == http.StatusSwitchingProtocols || w.br.Buffered() > 0 {
		w.nc.Close()
		return
	}
	w.used, w.since = true, time.Now()
	h.mu.Lock()
	kept := !h.closed && h.aside == 0 && len(h.idle) < h.keep
	if kept {
		h.idle = append(h.idle, w)
		if h.sweep == nil {
			h.sweep = time.AfterFunc(idleConn, h.closeOld)
		}
	}
	h.mu.Unlock()
	if !kept {
		w.nc.Close()
	}
}

// closeOld closes what has been idle for long, and comes again while there is anything idle.
func (h *httpClient) closeOld() {
	h.mu.Lock()
	var old []*httpWire
	for len(h.idle) > 0 && time.Since(h.idle[0].since) >= idleConn {
		old = append(old, h.idle[0])
		h.idle = h.idle[1:]
	}
	switch {
	case h.closed:
	case len(h.idle) > 0:
		h.sweep.Reset(idleConn - time.Since(h.idle[0].since))
	default:
		h.sweep = nil
	}
	h.mu.Unlock()
	for _, w := range old {
		w.nc.Close()
	}
}

// close ends the idle connections; those in use end with their exchange.
func (h *httpClient) close() {
	h.mu.Lock()
	h.closed = true
	if h.sweep != nil {
		h.sweep.Stop()
	}
	h.mu.Unlock()
	h.closeIdle()
}

// giveWay closes what is idle, and keeps nothing more until its caller says that it is over.
func (h *httpClient) giveWay() (over func()) {
	h.mu.Lock()
	h.aside++
	h.mu.Unlock()
	h.closeIdle()
	return func() {
		h.mu.Lock()
		h.aside--
		h.mu.Unlock()
	}
}

func (h *httpClient) closeIdle() {
	h.mu.Lock()
	idle := h.idle
	h.idle = nil
	h.mu.Unlock()
	for _, w := range idle {
		w.nc.Close()
	}
}

// again says whether a request may go over another connection when the one that was idle turned out to be closed.
func again(req *http.Request, err error) bool {
	var stale errStale
	return errors.As(err, &stale) && !errors.Is(err, os.ErrDeadlineExceeded) && (!stale.sent || repeatable(req))
}

// repeatable says whether a request may be sent again though the function may have got it: RFC 9110, section 9.2.1, and the
// field with which a client says so.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return req.Header["Idempotency-Key"] != nil || req.Header["X-Idempotency-Key"] != nil
}

func (w *httpWire) exchange(req *http.Request, inform informing) (*wireTurn, error) {
	if req.ContentLength > sentAtOnce || req.ContentLength < 0 {
		return w.whileSending(req, inform, func() error { return writeThrough(w.nc, req) })
	}
	w.out.Reset()
	if err := req.Write(&w.out); err != nil {
		return nil, err
	}
	if w.out.Len() > sentAtOnce {
		whole := bytes.Clone(w.out.Bytes())
		w.out = bytes.Buffer{} // such a header is rare, and not worth its memory
		return w.whileSending(req, inform, func() error {
			_, err := w.nc.Write(whole)
			return err
		})
	}
	n, unsent := w.nc.Write(w.out.Bytes())
	if unsent != nil && n == 0 {
		return nil, errStale{error: unsent}
	}
	resp, err := w.receive(req, inform) // also after an error: it may have answered before it closed
	switch {
	case err != nil:
		return nil, cmp.Or(unsent, err)
	case unsent != nil:
		resp.Close = true
	}
	return &wireTurn{resp: resp, wire: w}, nil
}

// whileSending reads the answer while the request is still being sent.
func (w *httpWire) whileSending(req *http.Request, inform informing, send func() error) (*wireTurn, error) {
	sent, body := make(chan error, 1), uploadOf(req)
	go func() {
		err := send()
		if body != nil && body.Err() != nil {
			w.nc.Close() // so that the function knows, and who waits for its answer
		}
		sent <- err
	}()
	resp, err := w.receive(req, inform)
	if err != nil {
		err = body.blame(err)
		w.nc.Close()
		<-sent
		return nil, err
	}
	return &wireTurn{resp: resp, wire: w, sent: sent, body: body}, nil
}

func writeThrough(to io.Writer, req *http.Request) error {
	bw := bufio.NewWriter(direct{to})
	if err := req.Write(bw); err != nil {
		return err
	}
	return bw.Flush()
}

// receive reads the head of the final answer.
func (w *httpWire) receive(req *http.Request, inform informing) (*http.Response, error) {
	w.in.begin()
	if _, err := w.br.Peek(1); err != nil {
		return nil, errStale{error: err, sent: true, from: w.from}
	}
	for {
		resp, err := http.ReadResponse(w.br, req)
		if err != nil {
			return nil, w.in.reason(err)
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			if inform != nil && resp.StatusCode != http.StatusContinue { // that one is about this connection
				dropHopByHop(resp.Header)
				inform(resp.StatusCode, resp.Header)
			}
			continue // interim; RFC 9110, section 15.2
		}
		return resp, nil
	}
}

// quiet says whether an idle connection is open and nothing has come on it.
func quiet(nc net.Conn) bool {
	if secured, is := nc.(*tls.Conn); is {
		nc = secured.NetConn() // what comes unasked, such as the end, is closer to us there
	}
	c, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var one [1]byte
	var peek error
	err = raw.Read(func(fd uintptr) bool {
		_, _, peek = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err == nil && (peek == syscall.EAGAIN || peek == syscall.EINTR)
}
