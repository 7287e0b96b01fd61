// Package tracing owns what a trace of dalamb looks like: which spans there are, what they are called and say, and how a trace is passed on
// as text. It sends nothing: who wires the node gives it OpenTelemetry's provider of spans.
package tracing

import (
	"context"
	"strings"
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
	options := []trace.SpanStartOption{trace.WithSpanKind(b.kind), trace.WithAttributes(clipped(b.says)...)}
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
	_, span := t.spans.Start(ctx, clip(b.name), options...)
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
	s.says(semconv.ErrorTypeKey.String(what))
}

// says adds to what a span tells of itself.
func (s *Span) says(more ...attribute.KeyValue) { s.span.SetAttributes(clipped(more)...) }

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

// longest is how much of a text a span says, in bytes.
const longest = 256

// clip bounds a text that somebody else may have chosen. What is no UTF-8 is replaced after the cut, which may go through a character: one such string in
// a protobuf message, and none of the spans that are sent with it arrives.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), longest)], "\ufffd") }

// clipped clips all texts of attributes, in place.
func clipped(says []attribute.KeyValue) []attribute.KeyValue {
	for i, kv := range says {
		if kv.Value.Type() == attribute.STRING {
			says[i] = kv.Key.String(clip(kv.Value.AsString()))
		}
	}
	return says
}
