package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// runHeader carries the id under which a call is recorded.
const runHeader = "Dalamb-Run"

// serveFunction is /_/fn/NAME[:ALIAS][/...]: any method, one function by name. The function sees the path behind it, the query, the
// headers and the body; it does not see the node's token.
func (g *Gateway) serveFunction(x *exchange, r *http.Request) {
	if err := g.authorize(r); err != nil {
		g.fail(x, err)
		return
	}
	written := r.URL
	to, err := parseAddress(g.catalog.View(), strings.TrimPrefix(written.EscapedPath(), fnPrefix))
	if err == nil {
		err = to.byHeader(r.Header)
	}
	if err != nil {
		g.fail(x, err)
		return
	}
	inner := *written
	inner.RawPath = to.path
	if inner.Path, err = url.PathUnescape(inner.RawPath); err != nil {
		g.fail(x, fault.New(fault.Invalid, "the path is malformed: %w", err))
		return
	}
	key := r.Header.Get(keyHeader)
	r.Header.Del(keyHeader)
	r.URL, r.RequestURI = &inner, inner.RequestURI()
	r.Header.Del("Authorization")
	g.serveCall(x, r, Call{Function: to.function, Alias: to.alias, Version: to.version, Key: key, Request: r, URL: written}, true)
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
