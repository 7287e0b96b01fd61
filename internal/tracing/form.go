package tracing

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

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

// Scope is the message of OTLP 1.x that has spans which a Sink was given, one behind another. They stand in it as fields that it need not know to pass them on: as
// messages of their own, with one for each attribute and its value, they took twice as long to send.
func Scope(spans []byte) *tracepb.ScopeSpans {
	m := &tracepb.ScopeSpans{Scope: &common.InstrumentationScope{Name: scope}}
	m.ProtoReflect().SetUnknown(spans)
	return m
}

// form is a span in the form of OTLP, while it is filled in. One is used for many spans, one after another.
type form struct {
	b    []byte // ahead has room for the span's tag and length
	part []byte // what is within the span, while it is written
	name []byte
	kind tracepb.Span_SpanKind
}

// ahead is how many bytes at most a span's tag and length take.
const ahead = 1 + binary.MaxVarintLen32

// fill begins with what is known of a span as long as it lasts.
func (f *form) fill(s *Span, until time.Time) {
	f.b = append(f.b[:0], make([]byte, ahead)...)
	f.b = appendText(f.b, spanTrace, s.own.trace[:])
	f.b = appendText(f.b, spanID, s.own.span[:])
	if !s.from.isNone() {
		f.b = appendText(f.b, spanParent, s.from.span[:])
	}
	f.b = appendFixed64(f.b, spanStart, nanoseconds(s.begun))
	f.b = appendFixed64(f.b, spanEnd, nanoseconds(until))
	f.b = appendFixed32(f.b, spanFlags, flags(true, s.from)) // what is sent counts as sampled, even if it is only because it failed
	s.about.describe(f)
}

// whole is the span with what came of it, as a field of ScopeSpans.
func (f *form) whole(failure string) []byte {
	if failure != "" {
		f.part = appendNumber(f.part[:0], statusCode, uint64(tracepb.Status_STATUS_CODE_ERROR))
		f.b = appendText(f.b, spanStatus, f.part)
		f.says(semconv.ErrorTypeKey, failure)
	}
	name := f.name[:min(len(f.name), longest)]
	if !utf8.Valid(name) {
		name = bytes.ToValidUTF8(name, []byte(replacement))
	}
	f.b = appendText(f.b, spanName, name)
	f.b = appendNumber(f.b, spanKind, uint64(f.kind))
	size := len(f.b) - ahead
	begin := ahead - protowire.SizeTag(scopeSpans) - protowire.SizeVarint(uint64(size))
	protowire.AppendVarint(protowire.AppendTag(f.b[begin:begin], scopeSpans, protowire.BytesType), uint64(size))
	return f.b[begin:]
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

// begins says on which side of what a span stands, and what it is called, in parts.
func (f *form) begins(kind tracepb.Span_SpanKind, name ...string) {
	f.name, f.kind = f.name[:0], kind
	for _, part := range name {
		f.name = append(f.name, part...)
	}
}

// says adds an attribute that is a text.
func (f *form) says(key attribute.Key, text string) {
	text = clip(text)
	f.pair(key, protowire.SizeTag(anyText)+protowire.SizeBytes(len(text)))
	f.b = appendText(f.b, anyText, text)
}

func (f *form) counts(key attribute.Key, n int64) {
	f.pair(key, protowire.SizeTag(anyInt)+protowire.SizeVarint(uint64(n)))
	f.b = appendNumber(f.b, anyInt, uint64(n))
}

func (f *form) is(key attribute.Key, yes bool) {
	v := protowire.EncodeBool(yes)
	f.pair(key, protowire.SizeTag(anyBool)+protowire.SizeVarint(v))
	f.b = appendNumber(f.b, anyBool, v)
}

// pair begins an attribute. Its value, so many bytes, is what is written next.
func (f *form) pair(key attribute.Key, value int) {
	f.b = protowire.AppendTag(f.b, spanAttributes, protowire.BytesType)
	f.b = protowire.AppendVarint(f.b, uint64(protowire.SizeTag(pairKey)+protowire.SizeBytes(len(key))+protowire.SizeTag(pairValue)+protowire.SizeBytes(value)))
	f.b = appendText(f.b, pairKey, string(key))
	f.b = protowire.AppendTag(f.b, pairValue, protowire.BytesType)
	f.b = protowire.AppendVarint(f.b, uint64(value))
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

// replacement stands for what is no UTF-8.
const replacement = "\ufffd"

// clip bounds a text that somebody else may have chosen. What is no UTF-8 is replaced after the cut, which may go through a character: one such string in
// a protobuf message, and none of the spans that are sent with it arrives.
func clip(s string) string {
	if s = s[:min(len(s), longest)]; utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, replacement)
}
