// Package tracing owns what a trace of dalamb looks like: which spans there are, which of them are sent, what they are called and say, and how a trace
// is passed on as text. It sends nothing: who wires the node gives it a Sink.
//
// Every call has spans, and most are sent nowhere. So a span is no more than its place in the trace and what it is about, as its beginner has that anyway; what it
// says of itself is put together when it ends, once it is known that it is sent, and as the bytes that are sent: until then it keeps nothing that its beginner
// does not keep, and afterwards nothing at all. OpenTelemetry's SDK gathers it at once, since it cannot know who reads a span; that took longer than all else that
// the node did to trace.
package tracing

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Sink takes spans that have ended and are to be sent: each is a field of OTLP's ScopeSpans, with its tag and length, and the tracer's own again when Take returns. Safe
// for concurrent use; who ends a span does not wait for it.
type Sink interface{ Take(span []byte) }

// Tracer begins spans. The nil Tracer begins none: all of its methods give a nil Span, whose methods do nothing. Safe for concurrent use.
type Tracer struct {
	to    Sink
	below uint64 // a trace that begins here is sampled when half of its id is less
	shown shown
	forms sync.Pool // of *form
}

// New makes one that samples a part of the traces that begin at it, from 0 to 1. A trace that has begun elsewhere is sampled when its parent says so.
// Of all others what went wrong is sent too. OpenTelemetry's SDK, "TraceIdRatioBased", "ParentBased".
func New(to Sink, sample float64) *Tracer {
	t := &Tracer{to: to, below: math.MaxUint64, forms: sync.Pool{New: func() any { return new(form) }}}
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
	ended  atomic.Bool
}

// description fills in what a span says.
type description interface{ describe(*form) }

// begin begins a span below a traceparent; "" = a trace's first. It takes one piece of memory with what it is about.
func begin[T any, P interface {
	*T
	description
}](t *Tracer, parent string, about T) *Span {
	s := &struct {
		Span
		what T
	}{what: about}
	s.tracer, s.from, s.begun, s.about = t, pointOf(parent), time.Now(), P(&s.what)
	s.own = s.from.below(t.below)
	s.text = s.own.text()
	return &s.Span
}

// TraceParent is the span as the parent of what comes of it: a W3C traceparent; "" of the nil Span.
func (s *Span) TraceParent() string {
	if s == nil {
		return ""
	}
	return s.text
}

// ends ends a span, and gives what it says so far where it is to be sent; nil = it is not. failure is what has failed, in one word: texts of functions stay
// where they are, since they may hold anything.
func (s *Span) ends(failure string) *form {
	if s == nil || !s.ended.CompareAndSwap(false, true) || !s.own.sampled && failure == "" {
		return nil
	}
	return s.form(s.begun.Add(time.Since(s.begun)))
}

func (s *Span) form(until time.Time) *form {
	f := s.tracer.forms.Get().(*form)
	f.fill(s, until)
	return f
}

// send gives a span that has ended to the sink; "" = it went well.
func (s *Span) send(f *form, failure string) {
	s.tracer.to.Take(f.whole(failure))
	s.tracer.forms.Put(f)
}

// End ends a span. Later ends of it change nothing.
func (s *Span) End() { s.Failed("") }

// Failed ends a span that went wrong; what is a kind of fault or of failure, "" = it went well.
func (s *Span) Failed(what string) {
	if f := s.ends(what); f != nil {
		s.send(f, what)
	}
}
