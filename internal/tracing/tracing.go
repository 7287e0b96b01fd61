// Package tracing owns what a trace of dalamb looks like: which spans there are, which of them are sent, what they are called and say, and how a trace
// is passed on as text. It sends nothing: who wires the node gives it a Sink.
//
// Every call has spans, and most are sent nowhere. So a span is no more than its place in the trace and what it is about, as its beginner has that anyway; what it
// says of itself is put together when it is sent, by who sends it. OpenTelemetry's SDK gathers it at once, since it cannot know who reads a span; that took
// longer than all else that the node did to trace.
package tracing

import (
	"math"
	"sync/atomic"
	"time"
)

// Sink takes spans that have ended and are to be sent. Safe for concurrent use; who ends a span does not wait for it.
type Sink interface{ Take(*Span) }

// Tracer begins spans. The nil Tracer begins none: all of its methods give a nil Span, whose methods do nothing. Safe for concurrent use.
type Tracer struct {
	to    Sink
	below uint64 // a trace that begins here is sampled when half of its id is less
	shown shown
}

// New makes one that samples a part of the traces that begin at it, from 0 to 1. A trace that has begun elsewhere is sampled when its parent says so.
// Of all others what went wrong is sent too. OpenTelemetry's SDK, "TraceIdRatioBased", "ParentBased".
func New(to Sink, sample float64) *Tracer {
	t := &Tracer{to: to, below: math.MaxUint64}
	if sample < 1 {
		t.below = uint64(max(0, sample) * (1 << 63))
	}
	return t
}

// Span is something that takes time in a trace. Safe for concurrent use.
type Span struct {
	tracer *Tracer
	own    point
	from   point // the zero point: it is a trace's first
	text   string
	begun  time.Time
	about  description

	ended   atomic.Bool
	until   time.Time   // these are written by who ends it, ahead of the sink
	how     description // nil = there is nothing to say
	failure string      // "" = it went well
}

// description fills in what a span says.
type description interface{ describe(*form) }

// begin begins a span below a traceparent; "" = a trace's first.
func (t *Tracer) begin(parent string, about description) *Span {
	s := &Span{tracer: t, from: pointOf(parent), begun: time.Now(), about: about}
	s.own = s.from.below(t.below)
	s.text = s.own.text()
	return s
}

// TraceParent is the span as the parent of what comes of it: a W3C traceparent; "" of the nil Span.
func (s *Span) TraceParent() string {
	if s == nil {
		return ""
	}
	return s.text
}

// ends says whether a span ends now, and is to be sent. failure is what has failed, in one word: texts of functions stay where they are, since they
// may hold anything.
func (s *Span) ends(failure string) bool {
	return s != nil && s.ended.CompareAndSwap(false, true) && (s.own.sampled || failure != "")
}

// send gives a span that ends to the sink.
func (s *Span) send(how description, failure string) {
	own(&failure)
	s.until, s.how, s.failure = s.begun.Add(time.Since(s.begun)), how, failure
	s.tracer.to.Take(s)
}

// End ends a span. Later ends of it change nothing.
func (s *Span) End() {
	if s.ends("") {
		s.send(nil, "")
	}
}

// Failed ends a span that went wrong; what is a kind of fault or of failure.
func (s *Span) Failed(what string) {
	if s.ends(what) {
		s.send(nil, what)
	}
}
