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
	s := t.begin(m.Parent, &m)
	m.Parent = ""
	own(&m.Topic, &m.ID)
	return s
}

func (m *Sending) describe(f *form) {
	f.begins("send "+m.Topic, tracepb.Span_SPAN_KIND_PRODUCER)
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

	events int // these stand for Parents and Redrive, once the span has begun
	links  []point
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
	p.events = len(p.Parents)
	if p.events == 1 {
		from = p.Parents[0]
	} else {
		p.links = linksTo(p.Parents)
	}
	if asked := pointOf(p.Redrive); !asked.isNone() {
		p.links = append(p.links, asked)
	}
	p.Parents, p.Redrive = nil, ""
	own(&p.Topic, &p.ID, &p.Function, &p.Trigger, &p.Run)
	return t.begin(from, &p)
}

// linksTo are those of a batch; one place is left, for a redrive's.
func linksTo(parents []string) []point {
	links := make([]point, 0, min(len(parents)+1, maxLinks))
	for _, parent := range parents {
		if len(links) == maxLinks-1 {
			break
		}
		if p := pointOf(parent); !p.isNone() {
			links = append(links, p)
		}
	}
	return links
}

func (p *Processing) describe(f *form) {
	f.begins("process "+p.Topic, tracepb.Span_SPAN_KIND_CONSUMER)
	f.operates("process", p.Topic)
	f.counts(semconv.MessagingDestinationPartitionIDKey, int64(p.Partition))
	f.counts("dalamb.offset", p.Offset)
	f.says("dalamb.function", p.Function)
	f.says("dalamb.trigger", p.Trigger)
	f.says("dalamb.run", p.Run)
	f.counts("dalamb.attempt", int64(p.Attempt))
	if p.events == 1 {
		f.says(semconv.MessagingMessageIDKey, p.ID)
	} else {
		f.counts(semconv.MessagingBatchMessageCountKey, int64(p.events))
	}
	for _, l := range p.links {
		f.links(l)
	}
}

// Processed ends the span of an attempt; outcome says how it went, failure what has failed, "" = nothing.
func (s *Span) Processed(outcome, failure string) {
	if s.ends(failure) {
		s.send(processed(outcome), failure)
	}
}

type processed string

func (p processed) describe(f *form) { f.says("dalamb.outcome", string(p)) }
