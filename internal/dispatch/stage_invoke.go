package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/payload"
	"github.com/dalamb/dalamb/internal/shadow"
	"github.com/dalamb/dalamb/internal/tracing"
)

// Invoker runs an invocation. An error means that dalamb failed and the function has not answered; what the function did, however
// bad, is a result. It blocks until then, until ctx is done where the function has not begun, or until the call's Kill is closed.
type Invoker interface {
	Invoke(ctx context.Context, c fleet.Call) (*function.Result, error)
}

// Shadow takes invocations whose outcome is known, and copies some of them to a version that is to be judged. It never blocks.
type Shadow interface{ Offer(c shadow.Copy) }

// invoke hands the attempt to the fleet.
type invoke struct {
	invoker Invoker
	shadow  Shadow // nil = nothing is copied
	view    func() *catalog.View
	now     func() time.Time
	cancels Cancels
	tracer  *tracing.Tracer
	bodies  Bodies
}

func (s invoke) do(ctx context.Context, w *work) error {
	if w.settled() {
		return nil
	}
	if w.input != nil && !payload.FormOf(&w.rules).Plain() {
		return s.doBatch(ctx, []*work{w})
	}
	to, err := s.target(w)
	if err != nil || w.settled() {
		return err
	}
	inv := &function.Invocation{
		ID: event.NewID(), Run: w.run, Attempt: len(w.before) + 1, Trigger: w.name,
		Event: w.input, Payload: w.payload,
	}
	if w.late() {
		return s.doLate(ctx, w, to, inv)
	}
	result, err := s.call(ctx, group{to, []*work{w}}, inv)
	if err != nil {
		return err
	}
	w.id, w.result, w.note = inv.ID, result, to.note
	return nil
}

// call makes an invocation for a group.
func (s invoke) call(ctx context.Context, g group, inv *function.Invocation) (*function.Result, error) {
	w := g.ws[0]
	inv.Chain = before(g.ws)
	inv.TraceParent = w.traceParent()
	if span := s.process(g); span != nil {
		inv.TraceParent = span.TraceParent()
	}
	// An interrupted attempt is given up also where the function has begun: the partition is left, and nobody waits for the outcome.
	c := fleet.Call{Function: w.trigger.Function, Alias: g.alias, Version: g.version, Invocation: inv, Kill: ctx.Done(), Asked: w.asked, Patience: w.patience}
	if r := w.request; r != nil && r.ID != "" && len(w.before) == 0 {
		inv.ID = r.ID
	}
	result, err := s.invoker.Invoke(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", c.Function, err)
	}
	if s.shadow != nil && g.version == 0 && len(w.before) == 0 && w.trigger.Replay == nil {
		one := shadow.Copy{Function: c.Function, Alias: c.Alias, Key: w.stickyKey(), Invocation: inv, Result: result, Event: w.origin, Cause: w.cause}
		if w.late() {
			r := w.request.Request
			one.Body, one.Name = w.body, func() string { return r.Method + " " + r.Target }
		}
		s.shadow.Offer(one)
	}
	return result, nil
}
