package dispatch

import (
	"context"
	"encoding/json"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// unwrap finds what is to be invoked: the event itself or, where the event is a request for an asynchronous call or a
// redrive, what it asks for.
type unwrap struct{ view func() *catalog.View }

func (s unwrap) do(_ context.Context, w *work) error {
	if w.settled() {
		return nil
	}
	w.name, w.rules = w.trigger.Name, w.trigger.Trigger
	w.origin, w.input = refOf(w.position, w.cause), w.cause
	w.emitTo, w.emitBase = w.position.Topic, w.run
	if w.position.Topic == function.TopicTicks {
		w.emitTo = function.TopicEvents
	}
	if w.position.Topic == function.TopicInvoke && w.trigger.Name == function.InvokeTrigger {
		s.request(w)
	}
	w.input = unmarked(w.input)
	asReplayed(w)
	if w.rules.Emit != nil && w.rules.Emit.Topic != "" {
		w.emitTo = w.rules.Emit.Topic
	}
	w.emitTo = function.EmitsTo(w.trigger.Function, w.emitTo)
	return nil
}

// unmarked takes a copy's mark off, which dalamb alone gives: who publishes an event with it must not make a function leave out its effects.
func unmarked(e *event.Event) *event.Event {
	if e == nil || e.Extensions[event.ExtShadow] == nil {
		return e
	}
	e = e.Clone()
	delete(e.Extensions, event.ExtShadow)
	return e
}

func (s unwrap) request(w *work) {
	r := new(function.InvokeRequest)
	if err := json.Unmarshal(w.cause.Data, r); err != nil {
		w.condition = conditionUnreadable
		w.settle(function.RunDead, "the request to invoke cannot be read: %v", err)
		return
	}
	w.request = r
	w.emitTo = function.TopicEvents
	if r.Request != nil {
		s.unwrapLate(w)
	} else if r.Event == nil {
		w.input, w.payload = nil, r.Payload
		if w.payload == nil {
			w.payload = []byte("{}") // as AWS gives to a call without payload
		}
	} else {
		w.input = new(event.Event)
		if err := json.Unmarshal(r.Event, w.input); err != nil {
			w.condition = conditionUnreadable
			w.settle(function.RunDead, "the event of the request to invoke cannot be read: %v", err)
			return
		}
	}
	if r.RedriveOf == "" {
		return
	}
	w.emitBase = r.RedriveOf
	if r.Origin != nil {
		w.origin = *r.Origin
		if w.origin.Topic != "" && w.origin.Topic != function.TopicInvoke && w.origin.Topic != function.TopicTicks {
			w.emitTo = r.Origin.Topic
		}
	}
	if r.Trigger == "" || r.Trigger == function.InvokeTrigger {
		return
	}
	w.name = r.Trigger
	// A trigger that is gone since has no rules any more; the call's own apply.
	if t, err := s.view().Trigger(w.trigger.Function, r.Trigger); err == nil {
		w.rules.Retry, w.rules.RetryOn, w.rules.Emit = t.Retry, t.RetryOn, t.Emit
		w.rules.Batch, w.rules.Payload = t.Batch, t.Payload
		w.rules.OnSuccess, w.rules.OnFailure, w.rules.Effects = t.OnSuccess, t.OnFailure, t.Effects
	}
}

func refOf(p eventlog.Position, e *event.Event) function.EventRef {
	ref := function.EventRef{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}
	if e != nil {
		ref.ID, ref.Type, ref.Source, ref.Subject, ref.Key = e.ID, e.Type, e.Source, e.Subject, e.Key()
	}
	return ref
}
