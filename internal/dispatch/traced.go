package dispatch

import (
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/tracing"
)

// traceParent is the trace of what is invoked: that of the event that the attempt is about, or else of the request to run it.
func (w *work) traceParent() string {
	if w.input != nil {
		if own := w.input.Extension(event.ExtTraceParent); own != "" {
			return own
		}
	}
	return w.cause.Extension(event.ExtTraceParent)
}

// process begins the span of an attempt of a group.
func (s invoke) process(g group) *tracing.Span {
	if s.tracer == nil {
		return nil
	}
	w := g.ws[0]
	p := tracing.Processing{
		Topic: w.position.Topic, Partition: w.position.Partition, Offset: w.position.Offset, ID: w.cause.ID,
		Function: w.trigger.Function, Trigger: w.name, Run: w.run, Attempt: len(w.before) + 1,
	}
	for _, m := range g.ws {
		p.Parents = append(p.Parents, m.traceParent())
	}
	if asked := w.cause.Extension(event.ExtTraceParent); asked != p.Parents[0] {
		p.Redrive = asked
	}
	span := s.tracer.Process(p)
	for _, m := range g.ws {
		m.process = span
	}
	return span
}

// processed ends the span of an attempt. Where dalamb has failed there was none, and it is begun again.
func (w *work) processed(err error) {
	switch {
	case w.process == nil:
	case err != nil:
		w.process.Failed(fault.KindOf(err).String())
		w.sending.Failed(fault.KindOf(err).String())
	case w.attempt.Failure != nil && w.attempt.Failure.Type != "":
		w.process.Processed(string(w.state), w.attempt.Failure.Type)
	case w.attempt.Outcome != "" && w.result.FailureType() != "":
		w.process.Processed(string(w.state), w.result.FailureType())
	default:
		w.process.Processed(string(w.state), "")
	}
}

// settled counts an outcome that is stored, and ends what was to wait for that.
func (d *Dispatcher) settled(w *work) {
	d.metrics.settled(w, d.now())
	w.sending.End()
}
