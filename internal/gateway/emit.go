package gateway

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// emitted is what a route's answer puts in the log.
type emitted struct {
	records []eventlog.Record
	names   []function.Emitted
	span    *tracing.Span // until they are in the log
}

// refusedEvent is the type of the failure of an answer whose events may not be emitted.
const refusedEvent = "Function.EventRefused"

// emitted makes the records of the events that a route's function returned, by the same rules as dispatch: the id is
// dalamb's (the call's id and the event's index), the function's own is kept as originid; the chain goes on from the call.
func (c *Caller) emitted(inv *function.Invocation, t *catalog.Trigger, res *function.Result) (out emitted, err error) {
	topic := t.Emit.Topic
	if topic == "" {
		topic = function.TopicEvents
	}
	topic = function.EmitsTo(t.Function, topic)
	if function.SystemTopic(topic) {
		return emitted{}, fault.New(fault.Denied, "topic %q is written by dalamb alone", topic)
	}
	rules := c.rules(topic)
	if err := rules.MayWrite(topic, function.FunctionWriter(t.Function)); err != nil {
		return emitted{}, err
	}
	out.span = c.tracer.Send(tracing.Sending{Parent: inv.TraceParent, Topic: topic, Events: len(res.Events)})
	defer func() {
		if err != nil {
			ended(out.span, err)
			out = emitted{}
		}
	}()
	parent := cmp.Or(out.span.TraceParent(), inv.TraceParent)
	for i, from := range res.Events {
		e, err := c.emit(inv, t.Function, i, from, parent)
		if err != nil {
			return out, fmt.Errorf("event %d: %w", i, err)
		}
		r := eventlog.FromEvent(topic, e)
		if err := rules.Fits(topic, recordSize(&r)); err != nil {
			return out, fmt.Errorf("event %d: %w", i, err)
		}
		if err := rules.Addressed(topic, e.Key()); err != nil {
			return out, fmt.Errorf("event %d: %w", i, err)
		}
		if recordSize(&r) > c.limits.Event {
			return out, fmt.Errorf("event %d: %w", i, tooLarge("the event", c.limits.Event))
		}
		out.records = append(out.records, r)
		out.names = append(out.names, function.Emitted{Topic: topic, ID: e.ID, Type: e.Type})
	}
	return out, nil
}

func (c *Caller) emit(inv *function.Invocation, fn string, i int, from *event.Event, parent string) (*event.Event, error) {
	if event.Reserved(from.Type) {
		return nil, fault.New(fault.Denied, "events of type %q are written by dalamb alone", from.Type)
	}
	e := from.Clone()
	e.ID = inv.Run + "." + strconv.Itoa(i)
	if e.Source == "" {
		e.Source = "/functions/" + fn
	}
	if e.Time.IsZero() {
		e.Time = c.now()
	}
	set := map[string]any{event.ExtCausationID: inv.Run, event.ExtCorrelationID: cmp.Or(inv.Chain.Correlation, inv.Run), event.ExtHops: int32(min(inv.Chain.Hops, event.MaxHops) + 1)}
	if from.ID != "" {
		set[event.ExtOriginID] = from.ID
	}
	if e.Extension(event.ExtTraceParent) == "" {
		set[event.ExtTraceParent] = parent
	}
	for name, v := range set {
		if err := e.SetExtension(name, v); err != nil {
			return nil, err
		}
	}
	return e, e.Validate()
}

// refused is the result of a call whose events may not be emitted: an answer that is not right, and none of it counts.
func refused(res *function.Result, err error) *function.Result {
	bad := *res
	bad.Outcome, bad.Status, bad.NoRetry, bad.Header = function.BadAnswer, 502, true, nil
	bad.Failure = &function.Failure{Type: refusedEvent, Message: fmt.Sprintf("the function returned an event that may not be emitted: %v", err)}
	return &bad
}
