package entry

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// MaxStream is the largest streamed answer of a lambda, in bytes. AWS Lambda quotas, streamed response (the soft limit).
const MaxStream = 20 << 20

const (
	maxPrelude = 64 << 10 // bytes
	// restWait is how long a function may go on with an answer that nobody takes any more, before its connection is cut.
	restWait = time.Second
)

// streams says whether an answer is passed on as it comes. Go's client does not announce it but by the prelude's type.
func (call *lambdaCall) streams(h http.Header) bool {
	inv := call.inv
	if inv.Responder == nil || inv.Request != nil && inv.Request.Method == http.MethodHead {
		return false
	}
	return h.Get(responseMode) == "streaming" || h.Get("Content-Type") == streamPrelude
}

// lambdaStream is an answer on its way. The connection's goroutine reads its head and waits; the invocation's passes on the body.
type lambdaStream struct {
	req     *http.Request
	prelude bool             // it begins with status and header; who gave a payload gets that as it is
	head    *function.Result // status and header
	body    *bufio.Reader
	conn    *apiConn

	// The connection's goroutine reads the body and hands it over here, so that it can read on when nobody takes it any more.
	from *io.PipeReader

	passed chan struct{} // closed when the invocation has done with it
	large  bool          // known then
}

// stream takes a streamed answer.
func (c *apiConn) stream(req *http.Request, call *lambdaCall) bool {
	s := &lambdaStream{req: req, conn: c, passed: make(chan struct{}), prelude: call.inv.Request != nil && req.Header.Get("Content-Type") == streamPrelude}
	if err := c.proceed(req); err != nil {
		c.api.conn.unclaim(call)
		return false
	}
	s.body = bufio.NewReaderSize(req.Body, apiBuffer)
	if err := s.readHead(); err != nil {
		c.api.conn.unclaim(call)
		return false
	}
	if s.head.Outcome != function.Succeeded {
		c.api.conn.answered(call, s.head)
		return c.refuse(req, errInvalidPrelude)
	}
	from, to := io.Pipe()
	s.from = from
	select {
	case call.stream <- s:
	case <-call.over: // its time was up just now
		return false
	}
	_, err := io.Copy(to, s.body)
	_ = to.CloseWithError(err) // gives none
	<-s.passed
	if s.large {
		more := c.refuse(req, exceeds(MaxStream))
		return c.nc.SetReadDeadline(time.Time{}) == nil && more // the time of this answer is not that of the next poll
	}
	// Who streams to nobody gets a moment to come to the end, since many runtimes take a connection that was cut for the end of the
	// world. pass has set the time for it.
	if !discard(s.body) {
		return false
	}
	return c.nc.SetReadDeadline(time.Time{}) == nil && c.accepted()
}

// readHead reads up to the body: the prelude, where there is one. An error is one of the connection.
func (s *lambdaStream) readHead() error {
	if !s.prelude {
		h := http.Header{}
		if typ := s.req.Header.Get("Content-Type"); typ != "" {
			h.Set("Content-Type", typ)
		}
		s.head = &function.Result{Outcome: function.Succeeded, Status: statusOK, Header: h}
		return nil
	}
	var prelude []byte
	end := make([]byte, 8)
	for !bytes.HasSuffix(prelude, end) {
		b, err := s.body.ReadByte()
		if errors.Is(err, io.EOF) || len(prelude) == maxPrelude {
			s.head = badReply("the stream does not begin with JSON and eight zero bytes")
			return nil
		}
		if err != nil {
			return err
		}
		prelude = append(prelude, b)
	}
	var reply urlReply
	if err := json.Unmarshal(prelude[:len(prelude)-len(end)], &reply); err != nil {
		s.head = badReply(fmt.Sprintf("the prelude of the stream is not JSON: %v", err))
		return nil
	}
	s.head = reply.result(nil)
	return nil
}

// pass passes a streamed answer on. The error is that of a stopped instance.
func (c *lambdaConn) pass(call *lambdaCall, s *lambdaStream) (*function.Result, error) {
	defer close(s.passed)
	defer c.settle(call)
	defer s.from.Close()
	r := s.head
	to := call.inv.Responder
	var w io.Writer = io.Discard // a status that has no body
	if r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		var err error
		if w, err = to.Respond(function.Head{Status: r.Status, Header: r.Header, Length: -1}); err != nil {
			r.Abandoned = true
			s.rest()
			return r, nil
		}
	}
	err := s.conn.nc.SetReadDeadline(call.deadline)
	p := passing{from: s.from, cut: func() { s.from.Close() }, to: w, gone: to.Gone(), limit: MaxStream}
	if err == nil {
		err = p.run()
	}
	r.Streamed, r.Abandoned, s.large = p.n, p.abandoned, p.large
	failed := (*function.Result)(nil)
	switch {
	case p.abandoned:
		s.rest()
		return r, nil
	case p.large:
		failed = badAnswer("Function.ResponseSizeTooLarge", "function %s streamed more than the limit of %d bytes; answer with where the rest is", c.start.Version.Function(), MaxStream)
	case err != nil:
		if failed, err = c.brokenStream(call, err); err != nil {
			return nil, err
		}
	default:
		failed = s.conn.streamError(s.req)
	}
	if failed == nil {
		return r, nil
	}
	// The client was told the status and a part of the answer.
	failed.Status, failed.Header, failed.Body, failed.Streamed = r.Status, r.Header, nil, r.Streamed
	return failed, nil
}

// rest gives the function a moment more.
func (s *lambdaStream) rest() {
	_ = s.conn.nc.SetReadDeadline(time.Now().Add(restWait)) // of a connection that is closed nothing more comes
}

// brokenStream says what an answer means that did not come to its end.
func (c *lambdaConn) brokenStream(call *lambdaCall, cause error) (*function.Result, error) {
	if errors.Is(cause, os.ErrDeadlineExceeded) || errors.Is(cause, context.DeadlineExceeded) {
		return timedOut(call.limit), nil
	}
	timer := time.NewTimer(exitWait)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		return &function.Result{Outcome: function.Failed, Failure: &function.Failure{
			Type: "Runtime.TruncatedResponse", Message: fmt.Sprintf("the function broke its streamed answer off: %v", cause)}}, nil
	}
	select {
	case <-c.stopped:
		return nil, errStopped(c.start.ID)
	default:
		return c.ended(), nil
	}
}
