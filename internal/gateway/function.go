package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// runHeader carries the id under which a call is recorded.
const runHeader = "Dalamb-Run"

// serveFunction is /_/fn/NAME[:ALIAS][/...]: any method, one function by name. The function sees the path behind it, the query, the
// headers and the body; it does not see the node's token.
func (g *Gateway) serveFunction(x *exchange, r *http.Request) {
	who, err := g.who(r)
	if err == nil {
		err = who.May(access.Call)
	}
	view := g.catalog.View()
	if who.Environment != "" {
		view = view.Of(who.Environment)
	}
	if err != nil {
		g.fail(x, err)
		return
	}
	written := r.URL
	to, err := parseAddress(view, strings.TrimPrefix(written.EscapedPath(), fnPrefix))
	if err == nil {
		err = who.Over(access.Call, to.function)
	}
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
	if err := g.serveCall(x, Call{Function: to.function, Alias: to.alias, Version: to.version, Key: key, Request: r, URL: written}, true); err != nil {
		g.fail(x, err)
	}
}

// receive gives the request the body that the function gets, once, and says what frees it when the call is over.
func (g *Gateway) receive(x *exchange, c *Call) (free func(), err error) {
	r := c.Request
	switch {
	case c.whole || c.upload != nil:
		return nothingHeld, nil
	case g.uploads(r, c):
		if c.upload, err = g.newUpload(x, r); err != nil {
			return nothingHeld, err
		}
		c.Request = r.WithContext(r.Context()) // net/http looks at the body of its own when it answers
		c.Request.Body, c.Request.TransferEncoding = c.upload, nil
		return c.hold(&holding{budget: &g.held, upload: c.upload}), nil
	}
	return g.gather(x, c)
}

// gather reads the body whole, once, and says what frees it.
func (g *Gateway) gather(x *exchange, c *Call) (free func(), err error) {
	if c.whole {
		return nothingHeld, nil
	}
	r := c.Request
	body, held, err := g.read(x, r, g.limits.Request, "the request's body")
	if err == nil {
		c.Body, c.whole = body, true
		r.Body, r.ContentLength, r.TransferEncoding = newMemory(body), int64(len(body)), nil
	}
	if held == 0 {
		return nothingHeld, err
	}
	return c.hold(&holding{budget: &g.held, bytes: held}), err
}

// serveCall reads the body, makes the call and answers; an error has answered nothing. Who showed the token is trusted with the function's
// own error.
func (g *Gateway) serveCall(x *exchange, c Call, trusted bool) error {
	if err := g.caller.count(&c); err != nil {
		return err
	}
	free, err := g.receive(x, &c)
	defer free()
	if err != nil {
		return err
	}
	r := c.Request
	r.Header.Del(function.ShadowHeader) // a client may not pretend
	g.dropOwn(r.Header)                 // here, since attempts and fallbacks have a header of their own
	tellIdentity(r.Header, c.Identity)
	if c.ID == "" {
		c.ID = event.NewID()
	}
	run := cmp.Or(c.Run, c.ID)
	through := &stream{x: x, r: r, id: run, body: c.upload, among: &g.tunnels}
	if c.keyed == nil { // else the answer is in the log before the client has any of it
		c.Responder = through
	}
	if err := c.keyed.begin(); err != nil {
		return err
	}
	a, err := g.caller.Do(r.Context(), c)
	c.keyed.end(a.Result, err)
	if a.ID != "" {
		x.Header().Set(runHeader, run)
	}
	if err == nil {
		x.outcome = a.Result.Outcome
	} else if kind := fault.KindOf(err); !hasRun(err) && kind != fault.NotFound && kind != fault.Invalid && kind != fault.TooLarge {
		x.outcome = function.InitError // no instance has taken it
	}
	if through.begun {
		if err != nil {
			g.logger.Warn("answer broken off", "run", a.ID, "err", err)
		}
		through.end(a.Result, err)
		return nil
	}
	c.upload.answered(x.Header())
	if err == nil && c.upload != nil && a.Result.Abandoned {
		err = c.upload.blamed()
	}
	if err != nil {
		return discreet(err, trusted)
	}
	switch {
	case c.to != nil && !(answered(a.Result) && passable(a.Result.Status)):
		upstreamFailure(x, a.Result)
	case answered(a.Result):
		answer(x, r, a.Result)
	default:
		failure(x, a.Result, trusted)
	}
	return nil
}
