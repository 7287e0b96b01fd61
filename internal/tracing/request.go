package tracing

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
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
	path, query, _ := strings.Cut(r.Path, "?")
	says := []attribute.KeyValue{semconv.URLPathKey.String(path), semconv.URLSchemeKey.String(schemeOf(r.Scheme)), semconv.ServerAddressKey.String(r.Host)}
	method := methodOf(r.Method)
	if method != r.Method {
		says = append(says, semconv.HTTPRequestMethodKey.String("_OTHER"), semconv.HTTPRequestMethodOriginalKey.String(r.Method))
	} else {
		says = append(says, semconv.HTTPRequestMethodKey.String(method))
	}
	if query != "" {
		says = append(says, semconv.URLQueryKey.String(query))
	}
	if r.Remote != "" {
		says = append(says, semconv.ClientAddressKey.String(r.Remote))
	}
	if r.Agent != "" {
		says = append(says, semconv.UserAgentOriginalKey.String(r.Agent))
	}
	return t.begin(beginning{name: method, kind: trace.SpanKindServer, parent: r.Parent, says: says})
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
	if s == nil {
		return
	}
	if status == 0 {
		status = http.StatusOK
	}
	if route != "" {
		s.span.SetName(clip(methodOf(method) + " " + route))
		s.says(semconv.HTTPRouteKey.String(route))
	}
	s.says(semconv.HTTPResponseStatusCodeKey.Int(status))
	if status >= http.StatusInternalServerError {
		s.fail(http.StatusText(status))
	}
	s.span.End()
}
