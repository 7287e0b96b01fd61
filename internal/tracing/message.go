package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// system is what dalamb's topics are to OpenTelemetry, wherever they are kept.
const system = "dalamb"

// Sending is events on their way into the log.
type Sending struct {
	Parent string
	Topic  string
	ID     string // of the event, where it is one
	Events int
}

// Send begins the span of events that are appended. It is their creation context: the events carry it, and what runs because of them goes on from
// there. Messaging semantic conventions of OpenTelemetry, "Context propagation".
func (t *Tracer) Send(m Sending) *Span {
	if t == nil {
		return nil
	}
	says := []attribute.KeyValue{
		semconv.MessagingSystemKey.String(system), semconv.MessagingOperationTypeSend, semconv.MessagingOperationNameKey.String("send"),
		semconv.MessagingDestinationNameKey.String(m.Topic),
	}
	if m.ID != "" {
		says = append(says, semconv.MessagingMessageIDKey.String(m.ID))
	}
	if m.Events > 1 {
		says = append(says, semconv.MessagingBatchMessageCountKey.Int(m.Events))
	}
	return t.begin(beginning{name: "send " + m.Topic, kind: trace.SpanKindProducer, parent: m.Parent, says: says})
}

// Processing is an attempt of a trigger on events.
type Processing struct {
	Parents           []string // what each event carries
	Redrive           string   // the traceparent of the request that the attempt follows, of an event whose own is in Parents; "" = none
	Topic             string
	Partition         int32
	Offset            int64
	ID                string // of the event, where it is one
	Function, Trigger string
	Run               string
	Attempt           int
}

// Process begins the span of an attempt. The trace of one event goes on in it. Several events in a batch have no trace in common: then it begins one,
// and links to all of them. The same conventions, "Consumer spans".
func (t *Tracer) Process(p Processing) *Span {
	if t == nil {
		return nil
	}
	says := []attribute.KeyValue{
		semconv.MessagingSystemKey.String(system), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationNameKey.String("process"),
		semconv.MessagingDestinationNameKey.String(p.Topic), semconv.MessagingDestinationPartitionIDKey.Int(int(p.Partition)), attribute.Int64("dalamb.offset", p.Offset),
		attribute.String("dalamb.function", p.Function), attribute.String("dalamb.trigger", p.Trigger), attribute.String("dalamb.run", p.Run), attribute.Int("dalamb.attempt", p.Attempt),
	}
	b := beginning{name: "process " + p.Topic, kind: trace.SpanKindConsumer}
	if len(p.Parents) == 1 {
		b.parent = p.Parents[0]
		says = append(says, semconv.MessagingMessageIDKey.String(p.ID))
	} else {
		b.links = p.Parents
		says = append(says, semconv.MessagingBatchMessageCountKey.Int(len(p.Parents)))
	}
	if p.Redrive != "" {
		b.links = append(b.links, p.Redrive)
	}
	b.says = says
	return t.begin(b)
}

// Processed ends the span of an attempt; outcome says how it went, failure what has failed, "" = nothing.
func (s *Span) Processed(outcome, failure string) {
	if s == nil {
		return
	}
	s.says(attribute.String("dalamb.outcome", outcome))
	if failure != "" {
		s.fail(failure)
	}
	s.span.End()
}
