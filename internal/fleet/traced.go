package fleet

import (
	"time"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// span begins that of an invocation, which from here on is the parent of what the function does.
func (f *Fleet) span(v *function.Version, inv *function.Invocation) *tracing.Span {
	s := f.o.Tracer.Invocation(tracing.Invocation{
		Parent: inv.TraceParent, Function: v.Function(), Version: v.Number, ID: inv.ID, Run: inv.Run, Attempt: inv.Attempt, Trigger: inv.Trigger, Shadow: inv.Shadow,
	})
	if s != nil {
		inv.TraceParent = s.TraceParent()
	}
	return s
}

// endSpan ends it with what came of the invocation.
func endSpan(s *tracing.Span, r *function.Result, err error) {
	if err != nil {
		s.Failed(fault.KindOf(err).String())
		return
	}
	s.Invoked(string(r.Outcome), r.FailureType(), r.Instance, r.Cold)
}

// waited tells of the wait for an instance, where there was one, and of its start.
func (f *Fleet) waited(s *tracing.Span, asked time.Time, g grant) {
	if s == nil || !g.queued {
		return
	}
	s.Waited(asked, f.o.Now())
	if i := g.instance; i != nil && g.cold {
		var made time.Time
		if m, can := i.conn.(entry.Launched); can {
			made = m.Launched()
		}
		s.Started(i.id, i.created, made, i.started)
	}
}
