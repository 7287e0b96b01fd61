package gateway

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// traced begins the span of a request, from which on it is the parent that the request says. Who only asks whether the node works has none.
func (g *Gateway) traced(r *http.Request) *tracing.Span {
	if g.tracer == nil || r.URL.Path == healthPath || strings.HasPrefix(r.URL.Path, healthPath+"/") {
		return nil
	}
	remote := r.RemoteAddr
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	agent := r.UserAgent()
	if g.caller.redact().headers["User-Agent"] {
		agent = ""
	}
	span := g.tracer.Request(tracing.Request{
		Parent: givenTrace(r.Header), Method: r.Method, Scheme: r.URL.Scheme, Host: r.Host, Path: g.caller.redact().path(r.URL), Remote: remote, Agent: agent,
	})
	r.Header["Traceparent"] = []string{span.TraceParent()}
	return span
}

// answered counts a request that was answered, and ends its span. method is as it came; policies may have changed r's.
func (g *Gateway) answered(x *exchange, r *http.Request, method string) {
	g.metrics.request(x, g.now().Sub(x.start))
	x.span.Answered(method, patternOf(x.kind, r), x.status)
}

// patternOf is the path of a request as one of those that there are, so that no client can make up another; "" = nothing answers there.
func patternOf(kind string, r *http.Request) string {
	switch kind {
	case kindEvents, kindOpenAPI:
		return r.URL.Path
	case kindFn:
		return fnPrefix + "{name}"
	case kindRuns:
		return runsPrefix + "{id}"
	case kindHook:
		return hooksPrefix + "{provider}/{name}"
	}
	_, path, has := strings.Cut(r.Pattern, " ")
	if !has {
		path = r.Pattern
	}
	return path
}

// ended ends the span of something that went well, or did not.
func ended(s *tracing.Span, err error) {
	if err != nil {
		s.Failed(fault.KindOf(err).String())
		return
	}
	s.End()
}

// continued has an event go on a trace, where it does not say one itself: what it says is where it was made.
// CloudEvents, "Distributed Tracing extension".
func continued(e *event.Event, parent string) error {
	if parent == "" || e.Extension(event.ExtTraceParent) != "" {
		return nil
	}
	return e.SetExtension(event.ExtTraceParent, parent)
}

// upstream asks the servers that answer in the function's place.
func (c *Caller) upstream(wait context.Context, call *Call, inv *function.Invocation) (*function.Result, error) {
	span := c.tracer.Upstream(inv.TraceParent, call.Request.Method, call.Function, inv.Trigger)
	if span != nil {
		inv.TraceParent = span.TraceParent()
	}
	res, err := call.to.Invoke(wait, inv)
	if err != nil {
		ended(span, err)
	} else {
		span.Answered(call.Request.Method, "", res.Status)
	}
	return res, err
}
