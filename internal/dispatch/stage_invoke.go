package dispatch

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// Invoker runs an invocation. An error means that dalamb failed and the function has not answered; what the function did, however
// bad, is a result. It blocks until then, until ctx is done where the function has not begun, or until the call's Kill is closed.
type Invoker interface {
	Invoke(ctx context.Context, c fleet.Call) (*function.Result, error)
}

// invoke hands the attempt to the fleet.
type invoke struct{ invoker Invoker }

func (s invoke) do(ctx context.Context, w *work) error {
	if w.settled() {
		return nil
	}
	w.id = event.NewID()
	inv := &function.Invocation{
		ID: w.id, Run: w.run, Attempt: len(w.before) + 1, Trigger: w.name,
		Event: w.input, Payload: w.payload, TraceParent: w.cause.Extension(event.ExtTraceParent),
	}
	if w.input != nil && w.input.Extension(event.ExtTraceParent) != "" {
		inv.TraceParent = w.input.Extension(event.ExtTraceParent)
	}
	// An interrupted attempt is given up also where the function has begun: the partition is left, and nobody waits for the outcome.
	c := fleet.Call{Function: w.trigger.Function, Alias: function.LiveAlias, Invocation: inv, Kill: ctx.Done()}
	if r := w.trigger.Replay; r != nil {
		c.Version = r.Version
	}
	if r := w.request; r != nil {
		if r.Alias != "" {
			c.Alias = r.Alias
		}
		if r.ID != "" && len(w.before) == 0 {
			inv.ID, w.id = r.ID, r.ID
		}
	}
	result, err := s.invoker.Invoke(ctx, c)
	if err != nil {
		return fmt.Errorf("invoke %s: %w", c.Function, err)
	}
	w.result = result
	return nil
}
