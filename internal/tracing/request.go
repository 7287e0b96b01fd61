package tracing

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Request is one that the node answers. Its address is what may be told: who makes it has taken out what may be a secret.
type Request struct {
	Parent string // what the client says
	Method string
	Scheme string // "" = http
	Host   string
	Path   string // with its query
	Remote string // who sends it
	Agent  string
}

// Request begins the span of a request. HTTP semantic conventions of OpenTelemetry, "HTTP server".
func (t *Tracer) Request(r Request) *Span {
	if t == nil {
		return nil
	}
	return begin(t, r.Parent, r)
}

func (r *Request) describe(f *form) {
	method := methodOf(r.Method)
	f.begins(tracepb.Span_SPAN_KIND_SERVER, method)
	path, query, _ := strings.Cut(r.Path, "?")
	f.says(semconv.URLPathKey, path)
	f.says(semconv.URLSchemeKey, schemeOf(r.Scheme))
	f.says(semconv.ServerAddressKey, r.Host)
	if method != r.Method {
		f.says(semconv.HTTPRequestMethodKey, "_OTHER")
		f.says(semconv.HTTPRequestMethodOriginalKey, r.Method)
	} else {
		f.says(semconv.HTTPRequestMethodKey, method)
	}
	if query != "" {
		f.says(semconv.URLQueryKey, query)
	}
	if r.Remote != "" {
		f.says(semconv.ClientAddressKey, r.Remote)
	}
	if r.Agent != "" {
		f.says(semconv.UserAgentOriginalKey, r.Agent)
	}
}

func schemeOf(scheme string) string {
	if scheme == "" {
		return "http"
	}
	return scheme
}

// methodOf is a method that is known, so that clients cannot make up names of spans; HTTP for any other.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "HTTP"
}

// Answered ends the span of a request. route is the path's pattern, "" = there is none.
func (s *Span) Answered(method, route string, status int) {
	if status == 0 {
		status = http.StatusOK
	}
	failure := ""
	if status >= http.StatusInternalServerError {
		failure = cmp.Or(http.StatusText(status), strconv.Itoa(status))
	}
	f := s.ends(failure)
	if f == nil {
		return
	}
	if route != "" {
		f.begins(f.kind, methodOf(method), " ", route)
		f.says(semconv.HTTPRouteKey, route)
	}
	f.counts(semconv.HTTPResponseStatusCodeKey, int64(status))
	s.send(f, failure)
}
