package gateway

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// onceAnswer gathers the answer to a request that is run under a key, and gives it to the client when it is in the log. It is the http.ResponseWriter
// of what runs the request.
type onceAnswer struct {
	x      *exchange
	k      *keyed
	own    exchange    // what runs the request is given this one
	header http.Header // of the answer alone
	status int
	body   []byte
	given  bool  // the client has the beginning, and gets the rest as it comes
	err    error // the log did not take it
}

func newOnceAnswer(x *exchange, k *keyed) *onceAnswer {
	a := &onceAnswer{x: x, k: k, header: http.Header{}}
	a.own = exchange{ResponseWriter: a, kind: x.kind, start: x.start, slow: x.slow}
	return a
}

// Header implements http.ResponseWriter.
func (a *onceAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Interim answers are left out.
func (a *onceAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write implements http.ResponseWriter. What is longer than the log keeps need not be held.
func (a *onceAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if !a.given && a.err == nil {
		if len(a.body)+len(p) <= function.MaxAnswerKept {
			a.body = append(a.body, p...)
			return len(p), nil
		}
		a.give(int64(len(a.body) + len(p)))
	}
	if a.err != nil {
		return 0, a.err
	}
	return a.x.Write(p)
}

// FlushError is for http.ResponseController.
func (a *onceAnswer) FlushError() error {
	if !a.given {
		return nil
	}
	return http.NewResponseController(a.x).Flush()
}

// SetWriteDeadline is for http.ResponseController.
func (a *onceAnswer) SetWriteDeadline(t time.Time) error {
	if !a.given {
		return nil
	}
	return http.NewResponseController(a.x).SetWriteDeadline(t)
}

// give ends the claim as the answer says, and begins to give it to the client; size is at least of how much has come.
func (a *onceAnswer) give(size int64) {
	if settles(a.status) && !a.own.substitute {
		if a.err = a.k.finish(storedAnswer(a.status, a.header, a.body, size)); a.err != nil {
			return
		}
	} else {
		a.k.leave()
	}
	a.given = true
	h := a.x.Header()
	delete(a.header, http.CanonicalHeaderKey(function.HeaderReplayed)) // a function may not pretend
	if run := a.header[runHeader]; run != nil {
		h[runHeader] = run
	}
	a.x.passHeader(a.header)
	if ct, said := a.header["Content-Type"]; said && ct == nil {
		h["Content-Type"] = nil
	}
	a.x.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = a.x.Write(a.body) // a client that is gone cannot be told
	}
}

// finish is called when the request was run, with its error.
func (a *onceAnswer) finish(err error) error {
	a.x.outcome, a.x.substitute = a.own.outcome, a.own.substitute
	switch {
	case a.given:
		for name, values := range a.header {
			if strings.HasPrefix(name, http.TrailerPrefix) {
				a.x.Header()[name] = values
			}
		}
		return nil
	case err != nil:
		if hasRun(err) {
			a.k.abandon()
		}
		maps.Copy(a.x.Header(), a.header)
		return err
	case a.err == nil:
		a.WriteHeader(http.StatusOK) // as net/http does
		a.give(int64(len(a.body)))
	}
	return a.err
}

// gathered is what an answer comes to in memory.
type gathered struct {
	header http.Header
	status int
	body   []byte
}

func (g *gathered) Header() http.Header         { return g.header }
func (g *gathered) WriteHeader(status int)      { g.status = status }
func (g *gathered) Write(p []byte) (int, error) { g.body = append(g.body, p...); return len(p), nil }

// answeredAs is the answer that a client is given for a result, as the log keeps it.
func answeredAs(r *http.Request, res *function.Result) *function.Answer {
	g := &gathered{header: http.Header{}}
	answer(&exchange{ResponseWriter: g}, r, res)
	return storedAnswer(g.status, g.header, g.body, int64(len(g.body)))
}

// storedAnswer is an answer as the log keeps it: what is long, and what only the first client is to have, is left out.
func storedAnswer(status int, header http.Header, body []byte, size int64) *function.Answer {
	a := &function.Answer{Status: status, Header: http.Header{}, Size: size}
	copyEndToEnd(a.Header, header)
	for name := range a.Header {
		if name == runHeader || name == "Set-Cookie" || name == "Content-Length" || strings.EqualFold(name, function.HeaderReplayed) || strings.HasPrefix(name, http.TrailerPrefix) {
			delete(a.Header, name)
		}
	}
	if size <= function.MaxAnswerKept {
		a.Body = body
	}
	return a
}
