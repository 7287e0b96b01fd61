package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// stored is one line of the answer to POST /_/events.
type stored struct {
	ID        string `json:"id"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Duplicate bool   `json:"duplicate,omitempty"` // it was there already, by the topic's dedupe window
	// Of an event that waits until it is due; it has no partition and offset yet, and both are -1.
	Delayed   string    `json:"delayed,omitempty"` // the id by which it can be cancelled
	NotBefore time.Time `json:"notBefore,omitzero"`
}

// ingest is POST /_/events[?topic=TOPIC]: CloudEvents in binary, structured or batched mode (HTTP protocol binding 1.0.2,
// section 3), or any body whose URL says what it is (urlform.go). All events of a batch are stored, or none. The answer
// comes when they are durable: 202 and where each is.
func (g *Gateway) ingest(x *exchange, r *http.Request) {
	sender, err := g.sender(r)
	if err != nil {
		g.fail(x, err)
		return
	}
	if r.Method != http.MethodPost {
		g.methodNotAllowed(x, r, http.MethodPost)
		return
	}
	limit, what := g.limits.Event, "the event"
	if isCloudEventsJSON(r.Header) {
		limit, what = g.live.Load().limits.Batch, "the body"
	}
	body, held, err := g.read(x, r, limit, what)
	defer g.held.give(held)
	if err != nil {
		g.fail(x, err)
		return
	}
	q, err := parseQuery(r)
	if err != nil {
		g.fail(x, err)
		return
	}
	events, batch, err := g.decode(r.Header, q, body)
	if err != nil {
		g.fail(x, err)
		return
	}
	due, err := q.due(g.now())
	if err != nil {
		g.fail(x, err)
		return
	}
	if !sender.Sees(q.topic()) {
		g.fail(x, fault.New(fault.Denied, "the %s is for environment %s, and %q is no topic of it", sender, sender.Environment, fault.Clip(q.topic())).
			WithHint("name one that is, such as %s", function.Full(sender.Environment, function.TopicEvents)))
		return
	}
	out, err := g.append(r.Context(), intake{topic: q.topic(), events: events, batch: batch, due: due, trace: givenTrace(r.Header), sender: sender.ID, env: sender.Environment})
	if err != nil {
		g.fail(x, err)
		return
	}
	g.metrics.events.Add(float64(len(out)))
	tellDuplicates(x.Header(), out)
	writeJSON(x, http.StatusAccepted, out)
}

func isCloudEventsJSON(h http.Header) bool {
	const prefix = "application/cloudevents"
	ct := h.Get("Content-Type")
	return len(ct) >= len(prefix) && strings.EqualFold(ct[:len(prefix)], prefix)
}

// decode finds the events in a request.
func (g *Gateway) decode(h http.Header, q query, body []byte) (events []*event.Event, batch bool, err error) {
	events, batch, err = event.FromHTTP(h, body)
	switch {
	case errors.Is(err, event.ErrNotEvent) && q.describes():
		e, err := q.event(h.Get("Content-Type"), body, g.now())
		if err != nil {
			return nil, false, err
		}
		return []*event.Event{e}, false, nil
	case errors.Is(err, event.ErrNotEvent):
		return nil, false, fault.New(fault.Invalid, "the request is not a CloudEvent: it has neither a cloudevents content type nor ce- headers, and the URL does not say what the body is").
			WithHint("send Content-Type: application/cloudevents+json, or ce- headers, or say what it is: /_/events?type=order.requested&source=/shop")
	case err != nil:
		return nil, false, invalid(err)
	case q.describes():
		return nil, false, fault.New(fault.Invalid, "the request is a CloudEvent, and its URL describes an event too").
			WithHint("leave %q out of the URL", q.described())
	}
	return events, batch, nil
}

// invalid gives what the event room says of an input the kind that it has for a client.
func invalid(err error) error {
	return fault.New(fault.Invalid, "%w", err).WithHint("CloudEvents 1.0 says what an event is: it has id, source, specversion and type")
}

// append stores the events of one request. One that may not be stored keeps all of them out; the error says which.
func (g *Gateway) append(ctx context.Context, in intake) (_ []stored, err error) {
	topic, events, batch := in.topic, in.events, in.batch
	if function.SystemTopic(topic) {
		return nil, fault.New(fault.Denied, "topic %q is written by dalamb alone", topic).
			WithHint("topics whose names begin with _ are dalamb's own; send to another")
	}
	if len(events) == 0 { // an empty batch is a batch; section 3.3
		return []stored{}, g.known(ctx, in)
	}
	sending := tracing.Sending{Parent: in.trace, Topic: topic, Events: len(events)}
	if len(events) == 1 {
		sending.ID = events[0].ID
	}
	span := g.tracer.Send(sending)
	defer func() { ended(span, err) }()
	parent := cmp.Or(span.TraceParent(), in.trace)
	records, out := make([]eventlog.Record, len(events)), make([]stored, len(events))
	for i, e := range events {
		if err := continued(e, parent); err != nil {
			return nil, err
		}
		records[i] = eventlog.FromEvent(topic, e)
		g.widths.spread(ctx, topic, e, &records[i])
		err := g.admissible(e, &records[i])
		if err == nil {
			out[i], err = g.delayed(ctx, in, e, &records[i])
		}
		if err != nil && batch {
			err = fault.New(fault.KindOf(err), "%w", &event.BatchError{Index: i, Err: err})
		}
		if err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(out, func(s stored) bool { return s.Delayed != "" }) {
		if err := g.known(ctx, in); err != nil {
			return nil, err
		}
	}
	rules := g.catalog.View().Rules(topic)
	if err := g.allowed(in, rules, records); err != nil {
		return nil, err
	}
	positions, repeated, err := g.put(ctx, in, rules, records)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			if missing := g.known(ctx, in); missing != nil {
				return nil, missing
			}
		}
		return nil, fmt.Errorf("append to topic %s: %w", topic, err)
	}
	for i, p := range positions {
		if out[i].Delayed != "" {
			if out[i].Duplicate = repeated[i]; repeated[i] {
				out[i].Delayed = "" // the first one's is not known
			}
			continue
		}
		out[i] = stored{ID: events[i].ID, Topic: p.Topic, Partition: p.Partition, Offset: p.Offset, Duplicate: repeated[i]}
	}
	return out, nil
}

func (g *Gateway) admissible(e *event.Event, r *eventlog.Record) error {
	if event.Reserved(e.Type) {
		return fault.New(fault.Denied, "events of type %q are written by dalamb alone", e.Type).
			WithHint("types that begin with dalamb. are reserved; use another")
	}
	if recordSize(r) > g.limits.Event {
		return tooLarge("the event", g.limits.Event)
	}
	return nil
}

// recordSize is what an event weighs in the log, whatever the log's own overhead.
func recordSize(r *eventlog.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	return int64(n)
}

// known is nil when the topic of an intake exists, else NotFound with the nearest names of those that its sender sees.
func (g *Gateway) known(ctx context.Context, in intake) error {
	topics, err := g.log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var names []string
	for _, t := range topics {
		if t.Name == in.topic {
			return nil
		}
		if !function.SystemTopic(t.Name) && (in.env == "" || function.Within(in.env, t.Name)) {
			names = append(names, t.Name)
		}
	}
	return eventlog.MissingTopic(in.topic, names)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // only values of this package come here, and each can be encoded
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	if x, is := w.(*exchange); is {
		x.own = true
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone cannot be told
}
