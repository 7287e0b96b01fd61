// Package tracing owns what a trace of dalamb looks like: which spans there are, what they are called and say, and how a trace is passed on
// as text. It sends nothing: who wires the node gives it OpenTelemetry's provider of spans.
package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names who has made a span, as OpenTelemetry wants each library to.
const scope = "github.com/dalamb/dalamb"

// Tracer begins spans. The nil Tracer begins none: all of its methods give a nil Span, whose methods do nothing. Safe for concurrent use.
type Tracer struct{ spans trace.Tracer }

// New makes one; p nil gives the nil Tracer.
func New(p trace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(scope)}
}

// Span is something that takes time in a trace. Safe for concurrent use.
type Span struct {
	tracer *Tracer
	span   trace.Span
	parent string
}

// beginning is what is known of a span when it begins.
type beginning struct {
	name   string
	kind   trace.SpanKind
	parent string    // a traceparent; "" = the span is a trace's first
	links  []string  // traceparents
	at     time.Time // zero = now
	says   []attribute.KeyValue
}

func (t *Tracer) begin(b beginning) *Span {
	options := []trace.SpanStartOption{trace.WithSpanKind(b.kind), trace.WithAttributes(b.says...)}
	if !b.at.IsZero() {
		options = append(options, trace.WithTimestamp(b.at))
	}
	for _, l := range b.links {
		if c := contextOf(l); c.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: c}))
		}
	}
	ctx := context.Background()
	if c := contextOf(b.parent); c.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, c)
	}
	_, span := t.spans.Start(ctx, b.name, options...)
	return &Span{tracer: t, span: span, parent: textOf(span.SpanContext())}
}

// TraceParent is the span as the parent of what comes of it: a W3C traceparent; "" of the nil Span.
func (s *Span) TraceParent() string {
	if s == nil {
		return ""
	}
	return s.parent
}

// fail says that the span ended badly. What has failed says it in one word: texts of functions stay where they are, since they may hold anything.
func (s *Span) fail(what string) {
	s.span.SetStatus(codes.Error, "")
	s.span.SetAttributes(semconv.ErrorTypeKey.String(clip(what)))
}

// End ends a span. Later ends of it change nothing.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Failed ends a span that went wrong; what is a kind of fault or of failure.
func (s *Span) Failed(what string) {
	if s != nil {
		s.fail(what)
		s.span.End()
	}
}

// longest is how much of a name that others choose a span says, in bytes.
const longest = 256

// clip bounds a text that somebody else has chosen.
func clip(s string) string {
	if len(s) > longest {
		return s[:longest]
	}
	return s
}
