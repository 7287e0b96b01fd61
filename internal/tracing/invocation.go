package tracing

import (
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Invocation is one of a function.
type Invocation struct {
	Parent   string
	Function string
	Version  int
	ID       string
	Run      string
	Attempt  int
	Trigger  string // "" = none
	Shadow   bool
}

// Invocation begins the span of an invocation, which is the parent of what the function itself tells. FaaS semantic conventions of OpenTelemetry,
// "Outgoing invocations".
func (t *Tracer) Invocation(i Invocation) *Span {
	if t == nil {
		return nil
	}
	says := []attribute.KeyValue{
		semconv.FaaSInvokedNameKey.String(i.Function), semconv.FaaSInvokedProviderKey.String(system), semconv.FaaSVersionKey.String(strconv.Itoa(i.Version)),
		semconv.FaaSInvocationIDKey.String(i.ID), attribute.String("dalamb.run", i.Run), attribute.Int("dalamb.attempt", i.Attempt),
	}
	if i.Trigger != "" {
		says = append(says, attribute.String("dalamb.trigger", i.Trigger))
	}
	if i.Shadow {
		says = append(says, attribute.Bool("dalamb.shadow", true))
	}
	return t.begin(beginning{name: "invoke " + i.Function, kind: trace.SpanKindClient, parent: i.Parent, says: says})
}

// Waited tells, afterwards, of an invocation's wait for an instance.
func (s *Span) Waited(from, to time.Time) {
	if s == nil || !s.span.IsRecording() {
		return
	}
	s.part("wait for an instance", from).End(trace.WithTimestamp(to))
}

// Started tells, afterwards, of the start that an invocation has waited for: made is when the sandbox ran the program, zero where that is not known.
func (s *Span) Started(instance string, from, made, ready time.Time) {
	if s == nil || !s.span.IsRecording() {
		return
	}
	start := s.part("start an instance", from, semconv.FaaSInstanceKey.String(instance))
	if !made.IsZero() {
		start.AddEvent("sandbox made", trace.WithTimestamp(made))
	}
	start.AddEvent("ready", trace.WithTimestamp(ready))
	start.End(trace.WithTimestamp(ready))
}

func (s *Span) part(name string, from time.Time, says ...attribute.KeyValue) trace.Span {
	p := s.tracer.begin(beginning{name: name, kind: trace.SpanKindInternal, parent: s.parent, at: from, says: says})
	return p.span
}

// Invoked ends the span of an invocation. outcome is the function's, failure what has failed, "" = nothing.
func (s *Span) Invoked(outcome, failure, instance string, cold bool) {
	if s == nil {
		return
	}
	s.says(attribute.String("dalamb.outcome", outcome), semconv.FaaSColdstartKey.Bool(cold))
	if instance != "" {
		s.says(semconv.FaaSInstanceKey.String(instance))
	}
	if failure != "" {
		s.fail(failure)
	}
	s.span.End()
}

// Upstream begins the span of a request to a server that answers in a function's place. HTTP semantic conventions, "HTTP client".
func (t *Tracer) Upstream(parent, method, function, trigger string) *Span {
	if t == nil {
		return nil
	}
	return t.begin(beginning{name: methodOf(method), kind: trace.SpanKindClient, parent: parent, says: []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(methodOf(method)), attribute.String("dalamb.function", function), attribute.String("dalamb.trigger", trigger),
	}})
}
