package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// condition is why an outcome is sent to a destination. The first three are AWS Lambda's own.
type condition string

const (
	conditionSuccess    condition = "Success"
	conditionExhausted  condition = "RetriesExhausted"
	conditionTooOld     condition = "EventAgeExceeded"
	conditionNoRetry    condition = "NotRetryable" // the function said that trying again is no use
	conditionLoop       condition = "LoopDetected"
	conditionBadAnswer  condition = "AnswerRefused"
	conditionUnreadable condition = "RequestUnreadable"
)

// outcome is what a destination gets: AWS Lambda's record of an asynchronous invocation, version 1.0.
type outcome struct {
	Version         string          `json:"version"`
	Timestamp       time.Time       `json:"timestamp"`
	RequestContext  requestContext  `json:"requestContext"`
	RequestPayload  json.RawMessage `json:"requestPayload"`
	ResponseContext responseContext `json:"responseContext,omitzero"`
	ResponsePayload json.RawMessage `json:"responsePayload,omitempty"`
	Omitted         []string        `json:"omitted,omitempty"` // payloads that would have made the event too large
}

type requestContext struct {
	RequestID   string    `json:"requestId"` // the run's id
	FunctionARN string    `json:"functionArn"`
	Trigger     string    `json:"trigger"`
	Condition   condition `json:"condition"`
	Count       int       `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode,omitempty"`
	ExecutedVersion string `json:"executedVersion,omitempty"`
	FunctionError   string `json:"functionError,omitempty"`
}

// send makes the record that tells a run's destination of its outcome. It commits with the run's end.
type send struct {
	topics *topics
	view   func() *catalog.View
	limit  int // bytes of one event
	now    func() time.Time
	quotas Quotas
}

func (s send) do(ctx context.Context, w *work) error {
	w.sent, w.destination = nil, nil
	to := w.destinationOf()
	if r := w.trigger.Replay; r != nil && r.Output != function.ReplayPublish {
		return nil
	}
	if to == nil || w.cause == nil || w.cause.Hops() > event.MaxHops {
		return nil
	}
	w.destination = &function.Sent{Destination: *to}
	if err := s.known(ctx, to); err != nil {
		if fault.KindOf(err) != fault.NotFound {
			return err
		}
		w.destination.Error = err.Error()
		return nil
	}
	e, err := s.event(w)
	if err != nil {
		return err
	}
	topic := to.Topic
	if to.Function != "" {
		call := function.InvokeRequest{Function: to.Function, Payload: e.Data}
		if e.Data, err = json.Marshal(call); err != nil {
			return fmt.Errorf("encode the call of %s: %w", to.Function, err)
		}
		topic, e.Type, e.Subject = function.TopicInvoke, event.TypeInvokeRequested, to.Function
	}
	s.quotas.Emitted(function.Environment(cmp.Or(to.Function, to.Topic)), 1)
	r := byKey(topic, e)
	r.Seal = eventlog.SealedAs(w.cause)
	w.destination.ID, w.sent = e.ID, &r
	return nil
}

// destinationOf is where the outcome goes; nil = nowhere.
func (w *work) destinationOf() *function.Destination {
	switch {
	case w.state == function.RunSucceeded:
		return w.rules.OnSuccess
	case w.state == function.RunDead, w.state == function.RunDiscarded && w.condition == conditionTooOld:
		return w.rules.OnFailure
	}
	return nil
}

// known is nil when a destination is there.
func (s send) known(ctx context.Context, to *function.Destination) error {
	if to.Function == "" {
		return s.topics.check(ctx, to.Topic)
	}
	if _, err := s.view().Function(to.Function); err != nil {
		return fmt.Errorf("find the destination: %w", err)
	}
	return nil
}

// event is the outcome as an event, in its cause's chain and of its key.
func (s send) event(w *work) (*event.Event, error) {
	cause := w.input
	if cause == nil {
		cause = w.cause
	}
	data, err := s.outcome(w)
	if err != nil {
		return nil, err
	}
	typ := event.TypeInvocationFailed
	if w.state == function.RunSucceeded {
		typ = event.TypeInvocationSucceeded
	}
	e := &event.Event{
		ID: derivedID(w.run, "destination", 0), Source: "/functions/" + w.trigger.Function, Type: typ, Subject: w.trigger.Function,
		Time: s.now(), DataContentType: "application/json", Data: data,
	}
	e.Extensions = map[string]any{
		event.ExtCausationID: cause.ID, event.ExtHops: int32(min(cause.Hops(), event.MaxHops)) + 1,
		event.ExtChain: chainOf(cause).then(cause, w.trigger.Function).String(), event.ExtCorrelationID: cause.ID,
	}
	for _, name := range []string{event.ExtCorrelationID, event.ExtTraceParent} {
		if v := cause.Extension(name); v != "" {
			e.Extensions[name] = v
		}
	}
	if t := w.process.TraceParent(); t != "" {
		e.Extensions[event.ExtTraceParent] = t
	}
	if w.input != nil && cause.Key() != "" {
		e.Extensions[event.ExtPartitionKey] = cause.Key()
	}
	return e, nil
}

// outcome tells of a run, without its payloads where they are too large.
func (s send) outcome(w *work) ([]byte, error) {
	all := w.attempts()
	o := outcome{
		Version: "1.0", Timestamp: s.now().UTC().Truncate(time.Millisecond),
		RequestContext: requestContext{
			RequestID: w.run, Trigger: w.name, Condition: w.condition, Count: len(all),
			FunctionARN: function.ARN(function.AWSRegion, w.trigger.Function, ""),
		},
		RequestPayload: w.payload,
	}
	if o.RequestContext.Condition == "" {
		o.RequestContext.Condition = conditionExhausted
		if w.state == function.RunSucceeded {
			o.RequestContext.Condition = conditionSuccess
		}
	}
	if w.input != nil {
		b, err := json.Marshal(w.input)
		if err != nil {
			return nil, fmt.Errorf("encode event %s: %w", w.input.ID, err)
		}
		o.RequestPayload = b
	}
	o.respond(w, all)
	b, err := json.Marshal(o)
	for _, part := range []struct {
		name    string
		payload *json.RawMessage
	}{{"responsePayload", &o.ResponsePayload}, {"requestPayload", &o.RequestPayload}} {
		if err == nil && len(b) > s.limit {
			*part.payload, o.Omitted = nil, append(o.Omitted, part.name)
			b, err = json.Marshal(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("encode the outcome of run %s: %w", w.run, err)
	}
	return b, nil
}

// respond adds what the function said last.
func (o *outcome) respond(w *work, all []function.Attempt) {
	if len(all) == 0 {
		return
	}
	last := all[len(all)-1]
	o.ResponseContext = responseContext{StatusCode: 200, ExecutedVersion: strconv.Itoa(last.Version)}
	if last.Status != 0 {
		o.ResponseContext.StatusCode = last.Status
	}
	if last.Failure != nil {
		o.ResponseContext.FunctionError = "Unhandled"
		o.ResponsePayload, _ = json.Marshal(last.Failure) // it is in the log as JSON already, or goes there
		return
	}
	if w.result == nil || len(w.result.Body) == 0 {
		return
	}
	o.ResponsePayload = w.result.Body
	if !json.Valid(w.result.Body) {
		o.ResponsePayload, _ = json.Marshal(string(w.result.Body)) // text can be encoded
	}
}

// unsent ends runs whose destination has gone since it was looked up, without that destination. It returns false when that was not
// what the log refused.
func (p *partition) unsent(w *work) (changed bool) {
	w.each(func(w *work) {
		if w.sent == nil {
			return
		}
		if err := p.d.ending.do(context.Background(), w); err != nil {
			p.d.logger.Error("record a run", "run", w.run, "err", err)
			return
		}
		changed = changed || w.sent == nil
	})
	return changed
}

// publish appends what a run emits at once, where its trigger gives up that it is in the log exactly once. An event whose append
// failed is made again with the run.
type publish struct{ log eventlog.Log }

func (s publish) do(ctx context.Context, w *work) error {
	if w.rules.Effects != function.EffectsAtLeastOnce || len(w.outputs) == 0 {
		return nil
	}
	for i := range w.outputs {
		_, err := s.log.Append(ctx, w.outputs[i:i+1])
		switch kind := fault.KindOf(err); {
		case err == nil:
		case kind == fault.NotFound, kind == fault.TooLarge, kind == fault.Invalid:
			w.refuse(fault.New(kind, "event %d of the answer: %w", i, err))
			return nil
		default:
			return fmt.Errorf("append event %d of the answer: %w", i, err)
		}
	}
	w.outputs = nil
	return nil
}

// doBatch publishes for a batch, which has given one answer: where that cannot be kept, all of it has failed.
func (s publish) doBatch(ctx context.Context, ws []*work) error {
	for i, w := range ws {
		if err := s.do(ctx, w); err != nil {
			return err
		}
		if w.condition == conditionBadAnswer {
			shareRefusal(w, ws[i+1:])
		}
	}
	return nil
}
