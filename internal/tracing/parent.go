package tracing

import (
	"encoding/hex"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Places in a traceparent of W3C Trace Context, section 3.2: version, trace id, parent id and flags.
const (
	traceAt  = len("00-")
	parentAt = traceAt + 32 + len("-")
	flagsAt  = parentAt + 16 + len("-")
	whole    = flagsAt + 2
)

// contextOf reads a traceparent; what is none gives a context that is not valid.
func contextOf(parent string) trace.SpanContext {
	if len(parent) < whole || parent[traceAt-1] != '-' || parent[parentAt-1] != '-' || parent[flagsAt-1] != '-' {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(parent[traceAt : parentAt-1])
	if err != nil {
		return trace.SpanContext{}
	}
	span, err := trace.SpanIDFromHex(parent[parentAt : flagsAt-1])
	if err != nil {
		return trace.SpanContext{}
	}
	flags, err := hex.DecodeString(parent[flagsAt:whole])
	if err != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]), Remote: true})
}

// textOf writes a traceparent; "" of a context that is not valid.
func textOf(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	id, span := c.TraceID(), c.SpanID()
	b := make([]byte, 0, whole)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, id[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, []byte{byte(c.TraceFlags() & trace.FlagsSampled)})
	return string(b)
}

// Observe notes how long something of the span took, and which trace shows one that took so long, where that can be found: what is not sampled is
// nowhere. OpenMetrics 1.0, "Exemplars".
func (s *Span) Observe(o prometheus.Observer, took time.Duration) {
	with, can := o.(prometheus.ExemplarObserver)
	if s == nil || !can || !s.span.SpanContext().IsSampled() {
		o.Observe(took.Seconds())
		return
	}
	with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": s.parent[traceAt : parentAt-1]})
}
