package tracing

import (
	"strconv"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
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
	return begin(t, i.Parent, i)
}

func (i *Invocation) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_CLIENT, "invoke ", i.Function)
	f.says(semconv.FaaSInvokedNameKey, i.Function)
	f.says(semconv.FaaSInvokedProviderKey, system)
	f.says(semconv.FaaSVersionKey, strconv.Itoa(i.Version))
	f.says(semconv.FaaSInvocationIDKey, i.ID)
	f.says("dalamb.run", i.Run)
	f.counts("dalamb.attempt", int64(i.Attempt))
	if i.Trigger != "" {
		f.says("dalamb.trigger", i.Trigger)
	}
	if i.Shadow {
		f.is("dalamb.shadow", true)
	}
}

// Waited tells, afterwards, of an invocation's wait for an instance.
func (s *Span) Waited(from, to time.Time) { s.part(waiting{}, from, to) }

type waiting struct{}

func (waiting) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_INTERNAL, "wait for an instance")
}

// Started tells, afterwards, of the start that an invocation has waited for: made is when the sandbox ran the program, zero where that is not known.
func (s *Span) Started(instance string, from, made, ready time.Time) {
	s.part(starting{instance, made, ready}, from, ready)
}

type starting struct {
	instance    string
	made, ready time.Time
}

func (x starting) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_INTERNAL, "start an instance")
	f.says(semconv.FaaSInstanceKey, x.instance)
	if !x.made.IsZero() {
		f.marks("sandbox made", x.made)
	}
	f.marks("ready", x.ready)
}

// part sends a span below s that is over already.
func (s *Span) part(about description, from, to time.Time) {
	if s == nil || !s.own.sampled {
		return
	}
	p := &Span{tracer: s.tracer, own: s.own.below(0), from: s.own, begun: from, about: about}
	p.send(p.form(to), "")
}

// Invoked ends the span of an invocation. outcome is the function's, failure what has failed, "" = nothing.
func (s *Span) Invoked(outcome, failure, instance string, cold bool) {
	f := s.ends(failure)
	if f == nil {
		return
	}
	f.says("dalamb.outcome", outcome)
	f.is(semconv.FaaSColdstartKey, cold)
	if instance != "" {
		f.says(semconv.FaaSInstanceKey, instance)
	}
	s.send(f, failure)
}

// Upstream begins the span of a request to a server that answers in a function's place. HTTP semantic conventions, "HTTP client".
func (t *Tracer) Upstream(parent, method, function, trigger string) *Span {
	if t == nil {
		return nil
	}
	return begin(t, parent, upstream{method, function, trigger})
}

type upstream struct{ method, function, trigger string }

func (u *upstream) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_CLIENT, methodOf(u.method))
	f.says(semconv.HTTPRequestMethodKey, methodOf(u.method))
	f.says("dalamb.function", u.function)
	f.says("dalamb.trigger", u.trigger)
}
