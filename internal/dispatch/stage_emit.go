package dispatch

import (
	"cmp"
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// emit turns the events that a run answered with into records, or ends the run when they may not be written.
type emit struct {
	topics *topics
	limit  int // bytes of one event
	now    func() time.Time
	view   func() *catalog.View
	quotas Quotas
	tracer *tracing.Tracer
}

func (s emit) do(ctx context.Context, w *work) error {
	if w.state != function.RunSucceeded || w.result == nil || len(w.result.Events) == 0 {
		return nil
	}
	w.sending = s.tracer.Send(tracing.Sending{Parent: w.process.TraceParent(), Topic: w.emitTo, Events: len(w.result.Events)})
	for i, given := range w.result.Events {
		r, err := s.record(ctx, w, i, given)
		switch kind := fault.KindOf(err); {
		case err == nil:
			w.outputs = append(w.outputs, r)
		case kind == fault.Denied, kind == fault.NotFound, kind == fault.Invalid, kind == fault.TooLarge:
			w.refuse(fault.New(kind, "event %d of the answer: %w", i, err))
			return nil
		default:
			return err
		}
	}
	if err := w.keepBack(s.view().Rules(w.emitTo).Seal); err != nil {
		return err
	}
	s.quotas.Emitted(function.Environment(w.emitTo), len(w.outputs))
	return nil
}

// refuse ends a run whose answer cannot be kept: the same answer would be refused again.
func (w *work) refuse(err *fault.Error) {
	w.outputs, w.emitted, w.captured, w.condition = nil, nil, nil, conditionBadAnswer
	w.attempt.Outcome = function.BadAnswer
	w.sending.Failed(err.Kind.String())
	w.attempt.Failure = &function.Failure{Type: failureType(err.Kind), Message: clip(err.Message, maxFailureText)}
	w.settle(function.RunDead, "%s: %s", err.Kind, clip(err.Message, maxFailureText))
}

func (s emit) record(ctx context.Context, w *work, i int, given *event.Event) (eventlog.Record, error) {
	switch {
	case event.Reserved(given.Type):
		return eventlog.Record{}, fault.New(fault.Denied, "only dalamb writes events of type %s", given.Type)
	case function.SystemTopic(w.emitTo):
		return eventlog.Record{}, fault.New(fault.Denied, "only dalamb writes to topic %s; name another as emit.topic", w.emitTo)
	}
	if err := s.topics.check(ctx, w.emitTo); err != nil {
		return eventlog.Record{}, err
	}
	rules := s.view().Rules(w.emitTo)
	if err := rules.MayWrite(w.emitTo, function.FunctionWriter(w.trigger.Function)); err != nil {
		return eventlog.Record{}, err
	}
	e := given.Clone()
	if err := s.complete(w, i, e); err != nil {
		return eventlog.Record{}, err
	}
	if err := e.Validate(); err != nil {
		return eventlog.Record{}, fault.New(fault.Invalid, "no valid CloudEvent: %w", err)
	}
	r := byKey(w.emitTo, e)
	if err := rules.Fits(w.emitTo, recordSize(&r)); err != nil {
		return eventlog.Record{}, err
	}
	if err := rules.Addressed(w.emitTo, e.Key()); err != nil {
		return eventlog.Record{}, err
	}
	if size := recordSize(&r); size > int64(s.limit) {
		return eventlog.Record{}, fault.New(fault.TooLarge, "%d bytes, and an event has at most %d", size, s.limit)
	}
	out := function.Emitted{Topic: w.emitTo, ID: e.ID, Type: e.Type, Key: e.Key()}
	// By its digest who can guess the data of a sealed event finds out that he is right, also when it is forgotten.
	if !rules.Seal || w.toldSealed(e) {
		out.Digest = e.Digest()
	}
	w.emitted = append(w.emitted, out)
	return r, nil
}

// complete gives an emitted event its place in the chain of causes.
func (s emit) complete(w *work, i int, e *event.Event) error {
	cause := w.input
	if cause == nil {
		cause = w.cause
	}
	inherit := map[string]any{
		event.ExtCausationID: cause.ID,
		event.ExtHops:        int32(min(cause.Hops(), event.MaxHops)) + 1,
		event.ExtChain:       chainOf(cause).then(cause, w.trigger.Function).String(),
	}
	if e.ID != "" {
		inherit[event.ExtOriginID] = e.ID
	}
	if name := w.trigger.ReplayName(); name != "" {
		inherit[event.ExtReplay] = name
	}
	e.ID = derivedID(w.emitBase, "emit", i)
	if e.Source == "" {
		e.Source = "/functions/" + w.trigger.Function
	}
	if e.Time.IsZero() {
		e.Time = s.now()
	}
	if e.Extension(event.ExtCorrelationID) == "" {
		inherit[event.ExtCorrelationID] = cause.ID
		if c := cause.Extension(event.ExtCorrelationID); c != "" {
			inherit[event.ExtCorrelationID] = c
		}
	}
	if t := cmp.Or(w.sending.TraceParent(), cause.Extension(event.ExtTraceParent)); t != "" && e.Extension(event.ExtTraceParent) == "" {
		inherit[event.ExtTraceParent] = t
	}
	// The key of a request to invoke is the function's name, which says nothing about what the function then emits.
	if w.input != nil && e.Key() == "" && cause.Key() != "" {
		inherit[event.ExtPartitionKey] = cause.Key()
	}
	for name, v := range inherit {
		if err := e.SetExtension(name, v); err != nil {
			return fault.New(fault.Invalid, "set %s: %w", name, err)
		}
	}
	return nil
}
