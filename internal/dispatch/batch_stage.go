package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/payload"
)

// batchStage is a stage that sees the works of an invocation together; every other one sees them one by one, in the order of the
// log.
type batchStage interface {
	doBatch(ctx context.Context, ws []*work) error
}

// doBatch runs the stages for a batch.
func (ss stages) doBatch(ctx context.Context, ws []*work) error {
	for _, s := range ss {
		if b, ok := s.(batchStage); ok {
			if err := b.doBatch(ctx, ws); err != nil {
				return err
			}
			continue
		}
		for _, w := range ws {
			if err := s.do(ctx, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// alive are the works that are not settled.
func alive(ws []*work) []*work {
	left := make([]*work, 0, len(ws))
	for _, w := range ws {
		if !w.settled() {
			left = append(left, w)
		}
	}
	return left
}

// doBatch invokes the function once for all that are to be tried on a version, and gives each its part of the result.
func (s invoke) doBatch(ctx context.Context, ws []*work) error {
	gs, err := s.groups(alive(ws))
	if err != nil {
		return err
	}
	for _, g := range gs {
		if err := s.doGroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (s invoke) doGroup(ctx context.Context, g group) error {
	lead := g.ws[0]
	form := payload.FormOf(&lead.rules)
	items := make([]payload.Item, len(g.ws))
	for i, w := range g.ws {
		items[i] = w.item()
	}
	inv := &function.Invocation{ID: event.NewID(), Run: lead.run, Attempt: len(lead.before) + 1, Trigger: lead.name}
	var err error
	if inv.Payload, inv.PayloadType, err = form.Encode(items); err != nil {
		return fmt.Errorf("make the payload of %s: %w", lead.name, err)
	}
	result, err := s.call(ctx, g, inv)
	if err != nil {
		return err
	}
	share(g.ws, result, form, items)
	for _, w := range g.ws {
		w.id, w.batched, w.note = inv.ID, len(g.ws), g.note
	}
	return nil
}

func (w *work) item() payload.Item {
	return payload.Item{
		Event: w.input, Ref: w.origin, Appended: w.appended, Run: w.run, Attempt: len(w.before) + 1,
		Ordered: w.rules.Order != function.OrderNone,
	}
}

// Error types of what a function says about the events of a batch.
const (
	typeItemFailed = "Batch.ItemFailed"     // it listed the event
	typeBadList    = "Batch.BadItemFailure" // its list cannot be followed
)

// share gives each work its part of the result of their invocation. What the function emits or says belongs to the first.
func share(ws []*work, r *function.Result, form payload.Form, items []payload.Item) {
	var failed []bool
	if r.Outcome == function.Succeeded {
		var err error
		if failed, err = form.ItemFailures(items, r.Body); err != nil {
			bad := *r
			bad.Outcome, bad.Events = function.Failed, nil
			bad.Failure = &function.Failure{Type: typeBadList, Message: err.Error()}
			r = &bad
		}
	}
	done := *r
	done.Body, done.Events = nil, nil
	for i, w := range ws {
		switch {
		case failed != nil && failed[i]:
			one := done
			one.Outcome = function.Failed
			one.Failure = &function.Failure{Type: typeItemFailed, Message: "the function listed the event in batchItemFailures"}
			w.result = &one
		case r.Outcome != function.Succeeded:
			w.result, w.whole = r, true
		case i == 0 && failed == nil:
			w.result = r
		default:
			w.result = &done
		}
	}
}

// doBatch classifies each with one throw of the dice, so that what failed together is due together. In an ordered lane what stands
// behind a failed event of its key runs again behind it, and this attempt is as if it had not been: only where the batch failed
// as a whole has every event had its attempt.
func (s classify) doBatch(ctx context.Context, ws []*work) error {
	now, dice := s.now(), s.rand()
	one := classify{now: func() time.Time { return now }, rand: func() float64 { return dice }}
	again := map[string]bool{} // keys with an event that is tried again
	for _, w := range ws {
		key, ordered := w.orderKey()
		if ordered && again[key] && !w.settled() && !w.whole {
			w.held, w.state, w.due = true, function.RunRetrying, now
			continue
		}
		if err := one.do(ctx, w); err != nil {
			return err
		}
		if ordered && w.state == function.RunRetrying {
			again[key] = true
		}
	}
	return nil
}

// splits says that the event is tried again in a smaller batch, because this one failed as a whole and nobody knows by which event.
func (w *work) splits() bool {
	return w.whole && w.batched > 1 && w.rules.Batch != nil && w.rules.Batch.OnError == function.OnErrorBisect
}

// orderKey is what orders the event among those of its lane.
func (w *work) orderKey() (key string, ordered bool) {
	switch w.rules.Order {
	case function.OrderNone:
		return "", false
	case function.OrderPartition:
		return "", true
	}
	key = w.cause.Key()
	return key, key != ""
}

// takeBack makes the run's retryRecord, where it has one, say again what it said before this attempt.
func (w *work) takeBack() error {
	if !w.stored {
		return nil
	}
	var value []byte
	if len(w.before) > 0 {
		var err error
		if value, err = (retryRecord{attempts: w.before}).encode(); err != nil {
			return err
		}
	}
	w.records = one(w.keys.record(w.keys.retry(w.trigger.In(w.position.Partition), w.position.Offset), value))
	return nil
}

// doBatch makes the records of what the function emits. When they may not be written the whole batch has failed: it was one
// answer.
func (s emit) doBatch(ctx context.Context, ws []*work) error {
	for i, w := range ws {
		if w.result == nil || len(w.result.Events) == 0 {
			continue
		}
		if err := s.do(ctx, w); err != nil {
			return err
		}
		if w.state != function.RunSucceeded {
			shareRefusal(w, ws[i+1:])
		}
	}
	return nil
}

// shareRefusal ends the runs of an invocation like the one that was refused.
func shareRefusal(refused *work, others []*work) {
	for _, w := range others {
		if w.id == refused.id && w.state == function.RunSucceeded {
			w.attempt.Outcome, w.attempt.Failure = refused.attempt.Outcome, refused.attempt.Failure
			w.state, w.reason, w.condition = refused.state, refused.reason, refused.condition
		}
	}
}
