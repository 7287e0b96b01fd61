package tracing

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// Places in a traceparent of W3C Trace Context, section 3.2: version, trace id, parent id and flags.
const (
	traceAt  = len("00-")
	parentAt = traceAt + 32 + len("-")
	flagsAt  = parentAt + 16 + len("-")
	whole    = flagsAt + 2
)

// point is a span of a trace, as a traceparent names it. The zero point is none.
type point struct {
	trace   trace.TraceID
	span    trace.SpanID
	sampled bool
}

func (p point) isNone() bool { return !p.trace.IsValid() }

// pointOf reads a traceparent; what is none gives the zero point.
func pointOf(parent string) point {
	if len(parent) < whole || parent[traceAt-1] != '-' || parent[parentAt-1] != '-' || parent[flagsAt-1] != '-' {
		return point{}
	}
	id, err := trace.TraceIDFromHex(parent[traceAt : parentAt-1])
	if err != nil {
		return point{}
	}
	span, err := trace.SpanIDFromHex(parent[parentAt : flagsAt-1])
	if err != nil {
		return point{}
	}
	var flags [1]byte
	if _, err := hex.Decode(flags[:], []byte(parent[flagsAt:whole])); err != nil {
		return point{}
	}
	return point{id, span, trace.TraceFlags(flags[0]).IsSampled()}
}

// below is a new span below p, or that of a new trace, which is sampled when half of its id is less than a bound.
func (p point) below(bound uint64) point {
	c := p
	if p.isNone() {
		binary.BigEndian.PutUint64(c.trace[:8], rand.Uint64())
		binary.BigEndian.PutUint64(c.trace[8:], rand.Uint64()|1) // no id is all zeros
		c.sampled = binary.BigEndian.Uint64(c.trace[8:])>>1 < bound
	}
	binary.BigEndian.PutUint64(c.span[:], rand.Uint64()|1)
	return c
}

// text writes a traceparent.
func (p point) text() string {
	b := make([]byte, 0, whole)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, p.trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, p.span[:])
	if p.sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}
