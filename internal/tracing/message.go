package tracing

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
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
	return begin(t, m.Parent, m)
}

func (m *Sending) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_PRODUCER, "send ", m.Topic)
	f.operates("send", m.Topic)
	if m.ID != "" {
		f.says(semconv.MessagingMessageIDKey, m.ID)
	}
	if m.Events > 1 {
		f.counts(semconv.MessagingBatchMessageCountKey, int64(m.Events))
	}
}

// operates says what is done with messages of a topic; what is OpenTelemetry's type of the operation and its name alike.
func (f *form) operates(what, topic string) {
	f.says(semconv.MessagingSystemKey, system)
	f.says(semconv.MessagingOperationTypeKey, what)
	f.says(semconv.MessagingOperationNameKey, what)
	f.says(semconv.MessagingDestinationNameKey, topic)
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

// maxLinks is how many links a span has at most: those of the first events. As many are usual in OpenTelemetry's SDKs, "Span Limits".
const maxLinks = 128

// Process begins the span of an attempt. The trace of one event goes on in it. Several events in a batch have no trace in common: then it begins one,
// and links to them, as far as maxLinks goes. The same conventions, "Consumer spans".
func (t *Tracer) Process(p Processing) *Span {
	if t == nil {
		return nil
	}
	from := ""
	if len(p.Parents) == 1 {
		from = p.Parents[0]
	}
	return begin(t, from, p)
}

// links are to the events of a batch, and to a redrive's request, which has the place that is left.
func (p *Processing) links(f *form) {
	n := 0
	if len(p.Parents) != 1 {
		for _, parent := range p.Parents {
			if n == maxLinks-1 {
				break
			}
			if from := pointOf(parent); !from.isNone() {
				f.links(from)
				n++
			}
		}
	}
	if asked := pointOf(p.Redrive); !asked.isNone() {
		f.links(asked)
	}
}

func (p *Processing) describe(f *form) {
	f.begins(tracepb.Span_SPAN_KIND_CONSUMER, "process ", p.Topic)
	f.operates("process", p.Topic)
	f.counts(semconv.MessagingDestinationPartitionIDKey, int64(p.Partition))
	f.counts("dalamb.offset", p.Offset)
	f.says("dalamb.function", p.Function)
	f.says("dalamb.trigger", p.Trigger)
	f.says("dalamb.run", p.Run)
	f.counts("dalamb.attempt", int64(p.Attempt))
	if len(p.Parents) == 1 {
		f.says(semconv.MessagingMessageIDKey, p.ID)
	} else {
		f.counts(semconv.MessagingBatchMessageCountKey, int64(len(p.Parents)))
	}
	p.links(f)
}

// Processed ends the span of an attempt; outcome says how it went, failure what has failed, "" = nothing.
func (s *Span) Processed(outcome, failure string) {
	if f := s.ends(failure); f != nil {
		f.says("dalamb.outcome", outcome)
		s.send(f, failure)
	}
}
