package entry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	// exitWait is how long a lost connection waits for the exit that explains it: on a busy machine the end of a sandbox takes a while.
	exitWait = time.Second
	// Until a port is open it is tried again at these distances.
	firstTry, lastTry = time.Millisecond, 20 * time.Millisecond
)

// httpConn is one instance that listens on a port.
type httpConn struct {
	*instance
	client  httpSpeaker
	alone   bool         // one invocation at a time, so that log lines have a run
	calls   atomic.Int64 // that are under way
	over    atomic.Int64 // calls that are not
	deaf    atomic.Int64 // over+1 of when a question about its health was not heard beside a call
	stopped chan struct{}
	done    chan struct{}

	stopOnce sync.Once
}

func (e *Entries) startHTTP(ctx context.Context, s Start) (Conn, error) {
	spec := e.spec(s)
	spec.Port = s.Version.Spec.Entry.Port
	spec.Env = list(environ(s, e.Region))
	in, err := e.launch(ctx, launching{Start: s}, spec)
	if err != nil {
		return nil, err
	}
	concurrency := max(1, s.Version.Spec.Entry.Concurrency)
	c := &httpConn{
		instance: in, alone: concurrency == 1,
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
	if c.h2c() {
		c.client = newH2C(in.box.Dial)
	} else {
		c.client = &httpClient{dial: in.box.Dial, keep: concurrency}
	}
	go c.serve()
	ready, waited := make(chan struct{}), make(chan struct{})
	waiting, cancel := context.WithTimeout(ctx, e.InitTimeout)
	go func() {
		defer close(waited)
		if c.awaitPort(waiting) {
			close(ready)
		}
	}()
	err = c.awaitReady(ctx, ready)
	cancel()
	<-waited
	if err != nil {
		<-c.done
		return nil, err
	}
	return c, nil
}

// isReady asks once. Without a path to ask for, a function that accepts a connection is ready; the connection is closed at once: a server
// that takes one at a time would wait on it.
func (c *httpConn) isReady(ctx context.Context) bool {
	path := c.start.Version.Spec.Entry.Ready
	if path == "" {
		nc, err := c.box.Dial(ctx)
		if err == nil {
			nc.Close()
		}
		return err == nil
	}
	at, err := url.ParseRequestURI(path)
	if err != nil {
		c.notReady(err.Error())
		return false
	}
	at.Scheme, at.Host = "http", c.start.Version.Function()
	req := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: at,
		Header: http.Header{"User-Agent": {"dalamb"}},
	}
	until, _ := ctx.Deadline()
	resp, _, err := ask(c.client, req, until, c.entries.MaxAnswer)
	switch {
	case err != nil:
		_, before := errors.AsType[errDial](err)
		switch {
		case before:
		case errors.Is(err, os.ErrDeadlineExceeded): // what it answered before this question says more
			c.notReady(cmp.Or(c.whyNotReady(), "it did not answer"))
		default:
			c.notReady(err.Error())
		}
		return false
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		c.notReady("it answered " + strconv.Itoa(resp.StatusCode))
		return false
	}
	return true
}

// awaitPort blocks until the function is ready.
func (c *httpConn) awaitPort(ctx context.Context) bool {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := firstTry; ; wait = min(2*wait, lastTry) {
		select {
		case <-ctx.Done():
			return false
		case <-c.box.Done():
			return false
		case <-timer.C:
		}
		if c.isReady(ctx) {
			return true
		}
		timer.Reset(wait)
	}
}

// serve lives as long as the instance.
func (c *httpConn) serve() {
	<-c.box.Done()
	c.client.close()
	c.out.finish()
	close(c.done)
}

func (c *httpConn) Done() <-chan struct{} { return c.done }

func (c *httpConn) Stop(grace time.Duration) {
	c.stopOnce.Do(func() { close(c.stopped) })
	c.box.Stop(grace)
	<-c.done
}

// Invoke implements Conn.
func (c *httpConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	c.calls.Add(1)
	defer func() {
		c.over.Add(1)
		c.calls.Add(-1)
	}()
	t := clock{c.entries.Now, c.entries.Now()}
	end := deadline(inv, t.start.Add(c.timeout()), t.start)
	// The caller's context does not bound this: a request that has begun has its effects.
	until := time.Now().Add(end.Sub(t.start))
	req, err := newRequest(inv, addressee{host: c.start.Version.Function(), h2c: c.h2c(), end: end})
	if err != nil {
		return nil, err
	}
	if c.alone {
		c.out.begin(inv)
	}
	r, err := c.exchange(inv, req, until)
	if err != nil {
		if r, err = c.broken(inv, err); err != nil {
			return nil, err
		}
	}
	r.MemoryKB = c.memoryKB()
	t.finish(r)
	if c.alone { // what it prints is of several otherwise, who may run on
		c.hearOut(inv, r)
	}
	return r, nil
}

func (c *httpConn) exchange(inv *function.Invocation, req *http.Request, until time.Time) (*function.Result, error) {
	a, r, err := beginFor(c.client, inv, req, until)
	if err != nil || r != nil {
		return r, err
	}
	if inv.Responder != nil && streams(a.Response) {
		return c.stream(inv, a)
	}
	body, err := a.collect(c.entries.most(inv))
	switch {
	case errors.Is(err, errAnswerTooLarge):
		return c.tooLarge(inv), nil
	case err != nil:
		return nil, err
	}
	return c.result(a.Response, body), nil
}

// beginFor sends the request of an invocation and gives its answer, or the result where the connection has become the client's.
func beginFor(client httpSpeaker, inv *function.Invocation, req *http.Request, until time.Time) (*answering, *function.Result, error) {
	var inform informing
	if to, can := inv.Responder.(function.Informer); can {
		inform = to.Inform
	}
	a, err := client.begin(req, until, inform)
	if err != nil {
		return nil, nil, err
	}
	if t, can := a.httpTurn.(*wireTurn); can && a.StatusCode == http.StatusSwitchingProtocols {
		if up, can := inv.Responder.(function.Upgrader); can {
			r, err := tunnel(up, a, t.wire)
			return nil, r, err
		}
	}
	return a, nil, nil
}

// broken says what an exchange means that did not come to its end.
func (c *httpConn) broken(inv *function.Invocation, cause error) (*function.Result, error) {
	if client, ok := errors.AsType[errUpload](cause); ok {
		return incomplete(client), nil
	}
	if errors.Is(cause, os.ErrDeadlineExceeded) || errors.Is(cause, context.DeadlineExceeded) {
		r := timedOut(c.timeout())
		r.Failure.Message += c.leftWaiting(cause)
		return r, nil
	}
	if wrong, ok := errors.AsType[errNotHTTP](cause); ok {
		return badAnswer("Function.InvalidResponse", "the function's answer is not %s: %v", c.protocol(), wrong), nil
	}
	if reset, ok := errors.AsType[errReset](cause); ok {
		return &function.Result{Outcome: function.Failed, Status: statusBadGateway, Failure: &function.Failure{Type: "Stream.Reset", Message: reset.Error()}}, nil
	}
	exited := false
	timer := time.NewTimer(exitWait)
	defer timer.Stop()
	select {
	case <-c.done:
		exited = true
	case <-timer.C:
	}
	select {
	case <-c.stopped:
		return nil, errStopped(c.start.ID)
	default:
	}
	var before errDial
	switch {
	case errors.As(cause, &before):
		return nil, c.undelivered(inv)
	case exited:
		return c.ended(), nil
	}
	return &function.Result{
		Outcome: function.Crashed, Status: statusBadGateway,
		Failure: &function.Failure{Type: "Connection.Lost", Message: fmt.Sprintf("the function broke the connection off before it had answered: %v", cause)},
	}, nil
}

// addressee is who gets a request, and by when the exchange is over.
type addressee struct {
	host string // where nobody has asked for one
	h2c  bool
	end  time.Time
}

// newRequest is what a function, or a server, gets: an event in binary mode or a payload as POST to /, or a client's request as a proxy
// passes it on.
func newRequest(inv *function.Invocation, to addressee) (*http.Request, error) {
	req := &http.Request{
		Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: "http", Host: to.host, Path: "/"},
	}
	var body []byte
	var coming function.Upload
	switch {
	case inv.Request != nil:
		in := inv.Request
		if coming, _ = in.Body.(function.Upload); coming == nil {
			var err error
			if body, err = KeepBody(in); err != nil {
				return nil, err
			}
		}
		req.Method, req.Host = in.Method, in.Host
		req.URL.Path, req.URL.RawPath, req.URL.RawQuery = in.URL.Path, in.URL.RawPath, in.URL.RawQuery
		req.Header = forward(in)
		if _, can := inv.Responder.(function.Upgrader); can && in.Header["Upgrade"] != nil && !to.h2c {
			wanted := in.Header["Upgrade"]
			req.Header["Connection"], req.Header["Upgrade"] = []string{"Upgrade"}, wanted
		}
		if _, ok := req.Header["User-Agent"]; !ok {
			req.Header["User-Agent"] = nil // do not invent one
		}
	case inv.Event != nil:
		req.Header = make(http.Header, 16)
		body = inv.Event.ToHTTPBinary(req.Header)
	default:
		req.Header = http.Header{"Content-Type": {cmp.Or(inv.PayloadType, "application/json")}}
		body = inv.Payload
	}
	set := func(name, value string) {
		if value != "" {
			req.Header[name] = []string{value}
		} else {
			delete(req.Header, name) // a client may not pretend
		}
	}
	set("Dalamb-Request-Id", inv.ID)
	set("Dalamb-Run", inv.Run)
	set("Dalamb-Attempt", strconv.Itoa(max(1, inv.Attempt)))
	set(function.ShadowHeader, shadow(inv))
	set("Dalamb-Deadline-Ms", strconv.FormatInt(to.end.UnixMilli(), 10))
	if inv.TraceParent != "" {
		set("Traceparent", inv.TraceParent)
	}
	req.Header.Del("Content-Length")
	req.Header.Del("Expect") // the body is there: nothing is left to ask for
	if to.h2c {
		req.Header["Te"] = []string{"trailers"} // they are passed on; servers of gRPC ask for it
	}
	if coming != nil {
		upload(req, inv.Request, coming)
		return req, nil
	}
	if inv.Request != nil {
		req.Trailer = passedTrailers(inv.Request.Trailer, req.Header)
	}
	if len(body) > 0 || req.Trailer != nil {
		req.ContentLength = int64(len(body))
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		if req.Trailer != nil {
			req.ContentLength, req.TransferEncoding = -1, []string{"chunked"} // only chunks have trailers
		}
	}
	return req, nil
}

// result reads the function's answer: its status decides.
func (c *httpConn) result(resp *http.Response, body []byte) *function.Result {
	h := resp.Header
	dropHopByHop(h)
	r := &function.Result{Status: resp.StatusCode, Header: h, Body: body}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		events, err := eventsInHTTP(h, body, c.start.Version.Function())
		if err != nil {
			return badEvent(body, err)
		}
		r.Outcome, r.Events = function.Succeeded, events
		return r
	}
	r.Outcome = function.Failed
	r.NoRetry = !retriedStatus(resp.StatusCode)
	r.RetryAfter = retryAfter(h.Get("Retry-After"), c.entries.Now())
	// A body in the shape that lambda functions use speaks for itself; in any other the status says what it is.
	r.Failure, _ = parseFailure(body, "HTTP."+strconv.Itoa(resp.StatusCode))
	if _, ok := readPosted(body); !ok {
		said := cut(text(body[:min(len(body), maxMessage)]), maxMessage)
		r.Failure.Message = strings.TrimSuffix(fmt.Sprintf("the function answered %d %s: %s", resp.StatusCode, http.StatusText(resp.StatusCode), said), ": ")
	}
	return r
}

// retriedStatus says which failures may pass by themselves.
func retriedStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads seconds or a date. RFC 9110, section 10.2.3.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if n, err := strconv.ParseInt(value, 10, 32); err == nil {
		return time.Duration(max(0, n)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
