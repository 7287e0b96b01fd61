package entry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Remote speaks HTTP to a server that is no instance of a function, as it does to an http function: the same header, bodies both ways, interim
// answers, trailers and upgrades. It follows no redirects. Safe for concurrent use.
type Remote struct {
	client httpSpeaker
	o      RemoteOptions
}

// RemoteOptions are those of NewRemote. Host, Dial and MaxAnswer are required.
type RemoteOptions struct {
	Host      string // HOST:PORT, for who has not asked for any
	Rewrite   bool   // the server is asked for Host, whatever the client asked for
	Dial      func(context.Context) (net.Conn, error)
	H2C       bool  // HTTP/2 from the first byte on; else HTTP/1.1
	Keep      int   // idle connections, at most
	MaxAnswer int64 // bytes of an answer that is collected
}

// Unreached is why no connection to a server came about: nothing was sent.
type Unreached struct{ error }

func (u Unreached) Unwrap() error { return u.error }

// NewRemote makes no connection yet.
func NewRemote(o RemoteOptions) *Remote {
	if o.H2C {
		return &Remote{client: newH2C(o.Dial), o: o}
	}
	return &Remote{client: &httpClient{dial: o.Dial, keep: o.Keep}, o: o}
}

// Close ends the idle connections, and with HTTP/2 all of them.
func (r *Remote) Close() { r.client.close() }

// Invoke sends a client's request, and gives what came of it within a time; what was begun goes to its end, whether the client is still there or not.
// An error is Unreached, or the client's: its body did not come.
func (r *Remote) Invoke(inv *function.Invocation, within time.Duration) (*function.Result, error) {
	if up, coming := inv.Request.Body.(function.Upload); coming {
		up.Open()
	}
	begin := time.Now()
	until := begin.Add(within)
	req, err := newRequest(inv, addressee{host: r.o.Host, h2c: r.o.H2C, end: until})
	if err != nil {
		return nil, err
	}
	if r.o.Rewrite {
		req.Host = r.o.Host
	}
	res, err := r.exchange(inv, req, until)
	if err != nil {
		failed, err := r.broken(err, within)
		if err != nil {
			return nil, err
		}
		if res != nil {
			failed = brokenOff(failed, res)
		}
		res = failed
	}
	res.Start, res.Duration = begin, time.Since(begin)
	return res, nil
}

// maxCheckAnswer is how much of an answer to Check is read, in bytes, so that its connection can be used again.
const maxCheckAnswer = 64 << 10

// Check asks for a path by GET, and says why the server is not well: it gave no answer within a time, or none of 2xx.
func (r *Remote) Check(path string, within time.Duration) error {
	at, err := url.ParseRequestURI(path)
	if err != nil {
		return err
	}
	at.Scheme, at.Host = "http", r.o.Host
	req := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: at, Header: http.Header{"User-Agent": {"dalamb"}},
	}
	a, err := r.client.begin(req, time.Now().Add(within), nil)
	if err == nil {
		_, err = a.collect(maxCheckAnswer)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it did not answer in %s", within)
	case err != nil && err != errAnswerTooLarge:
		return err
	case a.StatusCode < 200 || a.StatusCode > 299:
		return fmt.Errorf("%s answered %d", path, a.StatusCode)
	}
	return nil
}

// exchange gives a result beside an error where the answer had begun.
func (r *Remote) exchange(inv *function.Invocation, req *http.Request, until time.Time) (*function.Result, error) {
	a, res, err := beginFor(r.client, inv, req, until)
	if err != nil || res != nil {
		return res, err
	}
	if inv.Responder != nil && streams(a.Response) {
		return pass(inv.Responder, a)
	}
	body, err := a.collect(r.o.MaxAnswer)
	switch {
	case errors.Is(err, errAnswerTooLarge):
		return badAnswer("Upstream.ResponseSizeTooLarge", "%s answered with more than the limit of %d bytes", r.o.Host, r.o.MaxAnswer), nil
	case err != nil:
		return nil, err
	}
	dropHopByHop(a.Header)
	res = &function.Result{Outcome: function.Succeeded, Status: a.StatusCode, Header: a.Header, Body: body}
	if a.StatusCode >= http.StatusBadRequest {
		res.Outcome, res.NoRetry = function.Failed, !retriedStatus(a.StatusCode)
		res.Failure = &function.Failure{Type: "HTTP." + strconv.Itoa(a.StatusCode), Message: fmt.Sprintf("%s answered %d %s", r.o.Host, a.StatusCode, http.StatusText(a.StatusCode))}
	}
	return res, nil
}

// broken says what an exchange means that did not come to its end.
func (r *Remote) broken(cause error, within time.Duration) (*function.Result, error) {
	lost := func(outcome function.Outcome, typ, format string, args ...any) *function.Result {
		return &function.Result{Outcome: outcome, Status: statusBadGateway, Failure: &function.Failure{Type: typ, Message: fmt.Sprintf(format, args...)}}
	}
	if client, is := errors.AsType[errUpload](cause); is {
		return incomplete(client), nil
	}
	if before, is := errors.AsType[errDial](cause); is {
		return nil, Unreached(before)
	}
	if errors.Is(cause, os.ErrDeadlineExceeded) || errors.Is(cause, context.DeadlineExceeded) {
		late := lost(function.TimedOut, "Upstream.TimedOut", "%s took longer than %s", r.o.Host, within)
		late.Status = http.StatusGatewayTimeout
		return late, nil
	}
	if wrong, is := errors.AsType[errNotHTTP](cause); is {
		return badAnswer("Upstream.InvalidResponse", "the answer of %s is not HTTP: %v", r.o.Host, wrong), nil
	}
	return lost(function.Crashed, "Connection.Lost", "%s broke the connection off before it had answered: %v", r.o.Host, cause), nil
}
