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

// Write implements http.ResponseWriter. It waits for nothing: who cuts an answer off waits for it.
func (a *onceAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// FlushError is for http.ResponseController.
func (a *onceAnswer) FlushError() error { return nil }

// SetWriteDeadline is for http.ResponseController.
func (a *onceAnswer) SetWriteDeadline(time.Time) error { return nil }

// give ends the claim as the answer says, and gives it to the client.
func (a *onceAnswer) give() error {
	if settles(a.status) && !a.own.substitute {
		if err := a.k.finish(storedAnswer(a.status, a.header, a.body, int64(len(a.body)))); err != nil {
			return err
		}
	} else {
		a.k.leave()
	}
	h := a.x.Header()
	delete(a.header, http.CanonicalHeaderKey(function.HeaderReplayed)) // a function may not pretend
	if run := a.header[runHeader]; run != nil {
		h[runHeader] = run
	}
	a.x.passHeader(a.header)
	a.x.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = a.x.Write(a.body) // a client that is gone cannot be told
	}
	return nil
}

// finish is called when the request was run, with its error.
func (a *onceAnswer) finish(err error) error {
	a.x.outcome, a.x.substitute, a.x.own = a.own.outcome, a.own.substitute, a.own.own
	if err != nil {
		if hasRun(err) {
			a.k.abandon()
		}
		maps.Copy(a.x.Header(), a.header)
		return err
	}
	a.WriteHeader(http.StatusOK) // as net/http does
	return a.give()
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

// acceptance is the answer that tells where to look for what comes of a request.
func (g *Gateway) acceptance(run *lateRun) *function.Answer {
	told := &gathered{header: http.Header{}}
	told.header.Set("Location", runsPrefix+run.name.String())
	g.showRun(&exchange{ResponseWriter: told}, http.StatusAccepted, run, nil)
	return storedAnswer(told.status, told.header, told.body, int64(len(told.body)))
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
