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
	s := t.begin(i.Parent, &i)
	i.Parent = ""
	own(&i.Function, &i.ID, &i.Run, &i.Trigger)
	return s
}

func (i *Invocation) describe(f *form) {
	f.begins("invoke "+i.Function, tracepb.Span_SPAN_KIND_CLIENT)
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
	f.begins("wait for an instance", tracepb.Span_SPAN_KIND_INTERNAL)
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
	f.begins("start an instance", tracepb.Span_SPAN_KIND_INTERNAL)
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
	p := s.tracer.begin(s.text, about)
	p.ended.Store(true)
	p.begun, p.until = from, to
	s.tracer.to.Take(p)
}

// Invoked ends the span of an invocation. outcome is the function's, failure what has failed, "" = nothing.
func (s *Span) Invoked(outcome, failure, instance string, cold bool) {
	if s.ends(failure) {
		s.send(invoked{outcome, instance, cold}, failure)
	}
}

type invoked struct {
	outcome, instance string
	cold              bool
}

func (x invoked) describe(f *form) {
	f.says("dalamb.outcome", x.outcome)
	f.is(semconv.FaaSColdstartKey, x.cold)
	if x.instance != "" {
		f.says(semconv.FaaSInstanceKey, x.instance)
	}
}

// Upstream begins the span of a request to a server that answers in a function's place. HTTP semantic conventions, "HTTP client".
func (t *Tracer) Upstream(parent, method, function, trigger string) *Span {
	if t == nil {
		return nil
	}
	own(&method, &function, &trigger)
	return t.begin(parent, upstream{method, function, trigger})
}

type upstream struct{ method, function, trigger string }

func (u upstream) describe(f *form) {
	f.begins(methodOf(u.method), tracepb.Span_SPAN_KIND_CLIENT)
	f.says(semconv.HTTPRequestMethodKey, methodOf(u.method))
	f.says("dalamb.function", u.function)
	f.says("dalamb.trigger", u.trigger)
}
