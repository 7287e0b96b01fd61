package entry

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what a function can make dalamb hold for its Runtime API.
const (
	maxAPIConns   = 32             // the runtime, and up to ten extensions
	maxAPIHeader  = 1<<20 + 64<<10 // AWS's clients send a trace of up to 1 MiB in a field
	apiBuffer     = 16 << 10       // also the longest trailer
	maxAPIDiscard = 64 << 20       // of an answer that is too large
)

// runtimeAPI serves the AWS Lambda Runtime API, version 2018-06-01, to one instance. Requests are parsed by net/http, but
// the loop is our own: an answer to "next" is written by the goroutine that has the invocation, to a connection that is
// meanwhile being read, so that there is no change of goroutine on the way and a client that went away is noticed.
type runtimeAPI struct {
	conn *lambdaConn

	mu     sync.Mutex
	closed bool
	open   map[*apiConn]struct{}
	wg     sync.WaitGroup
}

func newRuntimeAPI(c *lambdaConn) *runtimeAPI {
	return &runtimeAPI{conn: c, open: make(map[*apiConn]struct{})}
}

// serve accepts until the listener is closed and returns when all connections are done.
func (a *runtimeAPI) serve(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			break
		}
		c := &apiConn{api: a, nc: nc}
		if !a.add(c) {
			nc.Close()
			continue
		}
		a.wg.Go(func() {
			defer a.remove(c)
			c.serve()
		})
	}
	a.wg.Wait()
}

func (a *runtimeAPI) add(c *apiConn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.open) >= maxAPIConns {
		return false
	}
	a.open[c] = struct{}{}
	return true
}

func (a *runtimeAPI) remove(c *apiConn) {
	c.close()
	a.conn.gone(c)
	a.mu.Lock()
	delete(a.open, c)
	a.mu.Unlock()
}

// close ends all connections. Called when the sandbox is gone, and its listener with it.
func (a *runtimeAPI) close() {
	a.mu.Lock()
	a.closed = true
	open := make([]*apiConn, 0, len(a.open))
	for c := range a.open {
		open = append(open, c)
	}
	a.mu.Unlock()
	for _, c := range open {
		c.close()
	}
	if l := a.conn.box.Listener(); l != nil {
		l.Close()
	}
}

// apiConn is one connection of the function to the Runtime API. At any time either its own goroutine owes an answer, or it
// waits as the poller, and then the answer is written by who has the invocation.
type apiConn struct {
	api  *runtimeAPI
	nc   net.Conn
	last bool // the connection closes after the answer
}

func (c *apiConn) close() { c.nc.Close() }

// okLine is what all that is sent to who waits begins with.
const okLine = "HTTP/1.1 200 OK\r\n"

// write sends an invocation or an event. It does not wait longer than until for a function that does not read. When it returns nil the
// connection may already carry the next request, so what is to be known is read before.
func (c *apiConn) write(b []byte, until time.Time) error {
	last := c.last
	if last { // Node's client keeps the connection for its next request unless it is told. RFC 9112, section 9.6
		b = slices.Concat([]byte(okLine+"Connection: close\r\n"), b[len(okLine):])
	}
	c.nc.SetWriteDeadline(until)
	_, err := c.nc.Write(b)
	if last || err != nil {
		c.close()
		return err
	}
	c.nc.SetWriteDeadline(time.Time{})
	return nil
}

// bounded refuses to read more than is left.
type bounded struct {
	r    io.Reader
	left int64
}

var errHeaderTooLarge = errors.New("header too large")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (c *apiConn) serve() {
	limit := &bounded{r: c.nc}
	br := bufio.NewReaderSize(limit, apiBuffer)
	for {
		limit.left = maxAPIHeader
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if c.api.conn.polling(c) {
			return // a request while the answer to the one before is still owed
		}
		limit.left = math.MaxInt64 // the body is bounded by who reads it
		c.last = req.Close
		if !c.handle(req) {
			return
		}
	}
}

// responseMode is the field in which a function says that it streams.
const responseMode = "Lambda-Runtime-Function-Response-Mode"

const apiPrefix = "/2018-06-01/runtime/"

// handle answers one request and says whether the connection can go on.
func (c *apiConn) handle(req *http.Request) bool {
	path, ok := strings.CutPrefix(req.URL.Path, apiPrefix)
	if !ok {
		return c.handleExtension(req)
	}
	if path == "invocation/next" {
		if req.Method != http.MethodGet {
			return c.refuse(req, errNoSuchMethod)
		}
		if !discard(req.Body) {
			return false
		}
		if err := c.api.conn.next(c); err != nil {
			return c.answer(err.status, err.body())
		}
		return true
	}
	if req.Method != http.MethodPost {
		return c.refuse(req, errNoSuchMethod)
	}
	if path == "init/error" {
		return c.initError(req)
	}
	if rest, ok := strings.CutPrefix(path, "invocation/"); ok {
		if id, ok := strings.CutSuffix(rest, "/response"); ok {
			return c.response(req, id)
		}
		if id, ok := strings.CutSuffix(rest, "/error"); ok {
			return c.error(req, id)
		}
	}
	return c.refuse(req, errNoSuchPath)
}

func (c *apiConn) response(req *http.Request, id string) bool {
	const state = "InvocationResponse"
	switch mode := req.Header.Get(responseMode); mode {
	case "", "buffered", "streaming":
	default:
		return c.refuse(req, errInvalidMode)
	}
	call, refused := c.api.conn.claim(id, state)
	if refused != nil {
		return c.refuse(req, refused)
	}
	if call.streams(req.Header) {
		return c.stream(req, call)
	}
	// Any other stream is gathered: the caller gets it whole.
	most := c.api.conn.entries.most(call.inv)
	body, large, err := c.read(req, most)
	if err != nil {
		c.api.conn.unclaim(call)
		return false
	}
	if large {
		c.api.conn.answered(call, c.api.conn.tooLarge(call.inv))
		return c.refuse(req, exceeds(most))
	}
	r := c.streamError(req)
	if r == nil {
		r = c.api.conn.result(call, req.Header, body)
	}
	c.api.conn.answered(call, r)
	return c.accepted()
}

// streamError is the error that a stream broke off with, told in its trailers.
func (c *apiConn) streamError(req *http.Request) *function.Result {
	typ := req.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	encoded := req.Trailer.Get("Lambda-Runtime-Function-Error-Body")
	if typ == "" && encoded == "" {
		return nil
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		body = []byte(encoded)
	}
	return failed(body, typ)
}

func (c *apiConn) error(req *http.Request, id string) bool {
	const state = "InvocationErrorResponse"
	call, refused := c.api.conn.claim(id, state)
	if refused != nil {
		return c.refuse(req, refused)
	}
	most := c.api.conn.entries.most(call.inv)
	body, large, err := c.read(req, most)
	if err != nil {
		c.api.conn.unclaim(call)
		return false
	}
	r := failed(body, req.Header.Get("Lambda-Runtime-Function-Error-Type"))
	if large {
		r = c.api.conn.tooLarge(call.inv)
	}
	c.api.conn.answered(call, r)
	if large {
		return c.refuse(req, exceeds(most))
	}
	return c.accepted()
}

func (c *apiConn) initError(req *http.Request) bool {
	most := c.api.conn.entries.MaxAnswer
	body, large, err := c.read(req, most)
	if err != nil {
		return false
	}
	f, _ := parseFailure(body, req.Header.Get("Lambda-Runtime-Function-Error-Type"))
	if refused := c.api.conn.initError(f); refused != nil {
		return c.refuse(req, refused)
	}
	if large {
		return c.refuse(req, exceeds(most))
	}
	return c.accepted()
}

// read takes a body of most bytes.
func (c *apiConn) read(req *http.Request, most int64) (body []byte, large bool, err error) {
	if req.ContentLength > most {
		return nil, true, nil
	}
	if err := c.proceed(req); err != nil {
		return nil, false, err
	}
	if req.ContentLength >= 0 {
		body = make([]byte, req.ContentLength)
		_, err = io.ReadFull(req.Body, body)
		return body, false, err
	}
	body, err = io.ReadAll(io.LimitReader(req.Body, most+1))
	if int64(len(body)) > most {
		return nil, true, err
	}
	return body, false, err
}

// proceed tells a client to send that waits to be told.
func (c *apiConn) proceed(req *http.Request) error {
	if !strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
		return nil
	}
	req.Header.Del("Expect")
	_, err := io.WriteString(c.nc, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// refuse answers with an error. What is left of the body is thrown away first: a client that is still sending does not
// read. Only one that waits to be told to send is told at once.
func (c *apiConn) refuse(req *http.Request, e *apiError) bool {
	if req.Header.Get("Expect") != "" || !discard(req.Body) {
		c.last = true
	}
	return c.answer(e.status, e.body())
}

func discard(body io.Reader) bool {
	n, err := io.Copy(io.Discard, io.LimitReader(body, maxAPIDiscard))
	return err == nil && n < maxAPIDiscard
}

const acceptedAnswer = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n"

func (c *apiConn) accepted() bool {
	if c.last {
		return c.answer(http.StatusAccepted, []byte("{\"status\":\"OK\"}\n"))
	}
	_, err := io.WriteString(c.nc, acceptedAnswer)
	return err == nil
}

// answer writes a whole answer, with more fields where there are some.
func (c *apiConn) answer(status int, body []byte, fields ...string) bool {
	b := append([]byte("HTTP/1.1 "), strconv.Itoa(status)...)
	b = append(append(b, ' '), http.StatusText(status)...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	for _, f := range fields {
		b = append(append(b, "\r\n"...), f...)
	}
	if c.last {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(append(b, "\r\n\r\n"...), body...)
	_, err := c.nc.Write(b)
	return err == nil && !c.last
}

// apiError is a refusal, in the words that AWS's own server uses.
type apiError struct {
	status int
	typ    string
	text   string
}

func (e *apiError) body() []byte {
	b, err := json.Marshal(map[string]string{"errorMessage": e.text, "errorType": e.typ})
	if err != nil {
		return nil // two strings always encode
	}
	return append(b, '\n')
}

var (
	errInvalidRequestID = &apiError{http.StatusBadRequest, "InvalidRequestID", "Invalid request ID"}
	errInvalidMode      = &apiError{http.StatusBadRequest, "InvalidFunctionResponseMode", "Invalid function response mode"}
	errInvalidPrelude   = &apiError{http.StatusBadRequest, "InvalidResponsePrelude", "The stream does not begin with JSON and eight zero bytes"}
	errNoSuchPath       = &apiError{http.StatusNotFound, "NotFound", "The Runtime API has no such path"}
	errNoSuchMethod     = &apiError{http.StatusMethodNotAllowed, "MethodNotAllowed", "The Runtime API has no such method on this path"}
)

func exceeds(limit int64) *apiError {
	return &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", limit)}
}

func badState(from phase, to string) *apiError {
	return &apiError{http.StatusForbidden, "InvalidStateTransition",
		fmt.Sprintf("State transition from %s to %s failed for runtime. Error: State transition is not allowed", from, to)}
}
