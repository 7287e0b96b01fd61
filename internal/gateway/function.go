package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	fnPrefix = "/_/fn/"
	// aliasHeader picks the alias for a call by name. It is a header and not a query parameter because the query is the
	// function's own.
	aliasHeader = "Dalamb-Alias"
	// runHeader carries the id under which a call is recorded.
	runHeader = "Dalamb-Run"
)

// serveFunction is /_/fn/NAME[/...]: any method, one function by name. The function sees the path after NAME, the query, the
// headers and the body; it does not see the node's token.
func (g *Gateway) serveFunction(x *exchange, r *http.Request) {
	if err := g.authorize(r); err != nil {
		g.fail(x, err)
		return
	}
	written := r.URL
	rest := strings.TrimPrefix(written.EscapedPath(), fnPrefix)
	name, rest, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(name)
	if err != nil || name == "" {
		g.fail(x, fault.New(fault.Invalid, "the path names no function").WithHint("call %sNAME", fnPrefix))
		return
	}
	inner := *written
	inner.RawPath = "/" + rest
	if inner.Path, err = url.PathUnescape(inner.RawPath); err != nil {
		g.fail(x, fault.New(fault.Invalid, "the path is malformed: %w", err))
		return
	}
	r.URL, r.RequestURI = &inner, inner.RequestURI()
	alias := r.Header.Get(aliasHeader)
	r.Header.Del(aliasHeader)
	r.Header.Del("Authorization")
	g.serveCall(x, r, Call{Function: name, Alias: alias, Request: r, URL: written}, true)
}

// serveCall reads the body, makes the call and answers. Who showed the token is trusted with the function's own error.
func (g *Gateway) serveCall(x *exchange, r *http.Request, c Call, trusted bool) {
	body, held, err := g.read(x, r, g.limits.Request, "the request's body")
	defer g.held.give(held)
	if err != nil {
		g.fail(x, err)
		return
	}
	wanted := upgrade(r)
	dropHopByHop(r.Header)
	if wanted != "" { // of the hops' own fields, this is for the function to decide on
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{wanted}
	}
	r.Body, r.ContentLength, r.TransferEncoding = newMemory(body), int64(len(body)), nil
	c.Body = body
	c.ID = event.NewID()
	through := &stream{x: x, r: r, id: c.ID}
	c.Responder = through
	a, err := g.caller.Do(r.Context(), c)
	if a.ID != "" {
		x.Header().Set(runHeader, a.ID)
	}
	if through.begun {
		if err != nil {
			g.logger.Warn("answer broken off", "run", a.ID, "err", err)
		}
		through.end(a.Result, err)
		return
	}
	if err != nil {
		g.fail(x, err)
		return
	}
	if answered(a.Result) {
		answer(x, r, a.Result)
		return
	}
	failure(x, a.Result, trusted)
}
