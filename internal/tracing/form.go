package tracing

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// scope names who has made a span, as OpenTelemetry wants each library to.
const scope = "github.com/dalamb/dalamb"

// Numbers of the fields that are written here. opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto
const (
	scopeSpans = 2 // of ScopeSpans

	spanTrace, spanID, spanParent          = 1, 2, 4
	spanName, spanKind, spanStart, spanEnd = 5, 6, 7, 8
	spanAttributes, spanEvents, spanLinks  = 9, 11, 13
	spanStatus, spanFlags                  = 15, 16
	statusCode                             = 3
	eventTime, eventName                   = 1, 2
	linkTrace, linkSpan, linkFlags         = 1, 2, 6
	pairKey, pairValue                     = 1, 2
	anyText, anyBool, anyInt               = 1, 2, 3
)

// Form puts spans that a sink was given, the first of them that fit into most bytes and at least one, into the form of OTLP 1.x, and says how many those are. What a span says is gathered here. They are written as bytes at once, and stand in the message as
// fields that it need not know to pass them on: as messages of their own, with one for each attribute and its value, they took twice as long to send.
func Form(spans []*Span, most int) (m *tracepb.ScopeSpans, n int) {
	const usual = 600 // bytes of a span
	f, all := &form{}, make([]byte, 0, min(most, usual*len(spans)))
	for _, s := range spans {
		f.fill(s)
		if n > 0 && len(all)+protowire.SizeTag(scopeSpans)+protowire.SizeBytes(len(f.b)) > most {
			break
		}
		all = appendText(all, scopeSpans, f.b)
		n++
	}
	m = &tracepb.ScopeSpans{Scope: &common.InstrumentationScope{Name: scope}}
	m.ProtoReflect().SetUnknown(all)
	return m, n
}

// form is a span in the form of OTLP, while it is filled in. One is used for many spans, one after another.
type form struct {
	b    []byte
	part []byte // what is within the span, while it is written
	name string
	kind tracepb.Span_SpanKind
}

func (f *form) fill(s *Span) {
	f.b = f.b[:0]
	f.b = appendText(f.b, spanTrace, s.own.trace[:])
	f.b = appendText(f.b, spanID, s.own.span[:])
	if !s.from.isNone() {
		f.b = appendText(f.b, spanParent, s.from.span[:])
	}
	f.b = appendFixed64(f.b, spanStart, nanoseconds(s.begun))
	f.b = appendFixed64(f.b, spanEnd, nanoseconds(s.until))
	f.b = appendFixed32(f.b, spanFlags, flags(true, s.from)) // what is sent counts as sampled, even if it is only because it failed
	s.about.describe(f)
	if s.how != nil {
		s.how.describe(f)
	}
	if s.failure != "" {
		f.b = appendText(f.b, spanStatus, appendNumber(f.part[:0], statusCode, uint64(tracepb.Status_STATUS_CODE_ERROR)))
		f.says(semconv.ErrorTypeKey, s.failure)
	}
	f.b = appendText(f.b, spanName, clip(f.name))
	f.b = appendNumber(f.b, spanKind, uint64(f.kind))
}

// flags are those of W3C in the lowest byte, and above it whether parent is another process's: it came as text, so it counts as one.
func flags(sampled bool, parent point) uint32 {
	f := uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if sampled {
		f |= uint32(trace.FlagsSampled)
	}
	if !parent.isNone() {
		f |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return f
}

func nanoseconds(t time.Time) uint64 { return uint64(max(0, t.UnixNano())) }

// begins says what a span is called, and on which side of what it stands.
func (f *form) begins(name string, kind tracepb.Span_SpanKind) { f.name, f.kind = name, kind }

// says adds an attribute that is a text.
func (f *form) says(key attribute.Key, text string) {
	f.part = appendText(f.part[:0], anyText, clip(text))
	f.pair(key)
}

func (f *form) counts(key attribute.Key, n int64) {
	f.part = appendNumber(f.part[:0], anyInt, uint64(n))
	f.pair(key)
}

func (f *form) is(key attribute.Key, yes bool) {
	f.part = appendNumber(f.part[:0], anyBool, protowire.EncodeBool(yes))
	f.pair(key)
}

// pair adds an attribute whose value is in f.part.
func (f *form) pair(key attribute.Key) {
	f.b = protowire.AppendTag(f.b, spanAttributes, protowire.BytesType)
	f.b = protowire.AppendVarint(f.b, uint64(protowire.SizeTag(pairKey)+protowire.SizeBytes(len(key))+protowire.SizeTag(pairValue)+protowire.SizeBytes(len(f.part))))
	f.b = appendText(f.b, pairKey, string(key))
	f.b = appendText(f.b, pairValue, f.part)
}

// marks adds something that happened during the span.
func (f *form) marks(name string, at time.Time) {
	f.part = appendFixed64(f.part[:0], eventTime, nanoseconds(at))
	f.part = appendText(f.part, eventName, name)
	f.b = appendText(f.b, spanEvents, f.part)
}

// links adds a span that this one comes of without being below it.
func (f *form) links(p point) {
	f.part = appendText(f.part[:0], linkTrace, p.trace[:])
	f.part = appendText(f.part, linkSpan, p.span[:])
	f.part = appendFixed32(f.part, linkFlags, flags(p.sampled, p))
	f.b = appendText(f.b, spanLinks, f.part)
}

func appendText[T string | []byte](b []byte, field protowire.Number, v T) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendFixed64(b []byte, field protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}

func appendFixed32(b []byte, field protowire.Number, v uint32) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, v)
}

// longest is how much of a text a span says, in bytes.
const longest = 256

// own bounds texts, and copies them together: a span that waits to be sent would keep all of the request's header, or of the record, that a short text of it is cut from.
func own(texts ...*string) {
	n := 0
	for _, t := range texts {
		*t = (*t)[:min(len(*t), longest)]
		n += len(*t)
	}
	var all strings.Builder
	all.Grow(n)
	for _, t := range texts {
		all.WriteString(*t)
	}
	rest := all.String()
	for _, t := range texts {
		*t, rest = rest[:len(*t)], rest[len(*t):]
	}
}

// clip bounds a text that somebody else may have chosen. What is no UTF-8 is replaced after the cut, which may go through a character: one such string in
// a protobuf message, and none of the spans that are sent with it arrives.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), longest)], "\ufffd") }
