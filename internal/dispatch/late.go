package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Cancels knows of which events the caller does not want the run any more. It is told some time after they are cancelled, so one may begin
// that is cancelled already.
type Cancels interface {
	Cancelled(eventID string) (bool, error)
	// Watch tells of changes until stop is called; see history.
	Watch(eventID string) (changed <-chan struct{}, stop func())
}

// noCancels is where nobody can cancel.
type noCancels struct{}

func (noCancels) Cancelled(string) (bool, error) { return false, nil }

func (noCancels) Watch(string) (<-chan struct{}, func()) { return nil, func() {} }

// late says whether w runs a request to a route whose client asks for the answer later.
func (w *work) late() bool { return w.request != nil && w.request.Request != nil }

// unwrapLate gives a request the rules of its route: only what that says is emitted. A route that is gone since says nothing.
func (s unwrap) unwrapLate(w *work) {
	w.input, w.payload = nil, nil
	w.rules.Emit = nil
	if t, err := s.view().Trigger(w.trigger.Function, w.request.Request.Route); err == nil {
		w.rules.Emit = t.Emit
	}
}

// doLate runs a request, unless its client has cancelled it or does while it runs.
func (s invoke) doLate(ctx context.Context, w *work, to target, inv *function.Invocation) error {
	id := w.request.ID
	changed, stop := s.cancels.Watch(id)
	defer stop()
	if gone, err := s.cancelled(id, w); gone || err != nil {
		return err
	}
	r, free, err := s.whole(ctx, w)
	defer free()
	if err != nil || w.settled() {
		return err
	}
	if inv.Request, err = r.HTTP(); err != nil {
		w.condition = conditionUnreadable
		w.settle(function.RunDead, "the request cannot be read: %v", err)
		return nil
	}
	inv.Trigger, inv.Identity = r.Route, r.Identity
	w.body = r.Body
	defer func() { w.body = nil }()
	running, kill := context.WithCancel(ctx)
	defer kill()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer kill()
	if s.alone(w.trigger.Function, to) {
		watching.Go(func() {
			for {
				select {
				case <-changed:
					if gone, err := s.cancels.Cancelled(id); gone && err == nil {
						kill()
						return
					}
				case <-running.Done():
					return
				}
			}
		})
	}
	result, err := s.call(running, group{to, []*work{w}}, inv)
	if ctx.Err() == nil {
		if gone, err := s.cancelled(id, w); gone || err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if w.rules.Emit == nil && len(result.Events) > 0 {
		answer := *result
		answer.Events = nil
		result = &answer
	}
	w.id, w.result, w.note = inv.ID, result, to.note
	return nil
}

// cancelled settles a run that is not wanted any more: whatever came of it does not count.
func (s invoke) cancelled(id string, w *work) (bool, error) {
	gone, err := s.cancels.Cancelled(id)
	if gone && err == nil {
		w.settle(function.RunDiscarded, "%s", function.ReasonCancelled)
	}
	return gone, err
}

// alone says whether an instance runs nothing beside a call: then it can be killed for that one. Others run to the end.
func (s invoke) alone(fn string, to target) bool {
	number := to.version
	if number == 0 {
		a, err := s.view().Alias(fn, to.alias)
		if err != nil {
			return false
		}
		number = a.Primary
	}
	v, err := s.view().VersionNumber(fn, number)
	return err == nil && v.Spec.Entry.Concurrency <= 1
}

// refusedLate says that a function has answered a request with a client's error: that is the answer, and nothing went wrong.
func (w *work) refusedLate() bool {
	r := w.result
	return w.late() && r.Outcome == function.Failed && r.NoRetry && r.Header != nil && r.Status >= 400 && r.Status < 500
}

// answerLate is what the client of a request is given, when it asks; nil where the function has not answered. It does not hold cookies: they would
// stay in the log.
func (w *work) answerLate() *function.Answer {
	r := w.result
	if !w.late() || r == nil || !w.final() {
		return nil
	}
	switch w.attempt.Outcome {
	case function.Succeeded:
	case function.Failed:
		if r.Header == nil {
			return nil // it has said why, and that is for the one who runs it
		}
	default:
		return nil
	}
	a := &function.Answer{Status: r.Status, Header: r.Header.Clone(), Size: int64(len(r.Body))}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	delete(a.Header, "Set-Cookie")
	if len(r.Body) <= function.MaxAnswerKept {
		a.Body = r.Body
	}
	return a
}

// callBack adds that the end of a request's run is to be told to whom its route or its client names.
func (w *work) callBack(records []eventlog.Record) ([]eventlog.Record, error) {
	if !w.late() || w.request.Request.Callback == nil {
		return records, nil
	}
	value, err := json.Marshal(w.request.Request.Callback)
	if err != nil {
		return nil, fmt.Errorf("encode a callback: %w", err)
	}
	key := []byte(w.origin.Address())
	return append(records, eventlog.Record{Topic: function.TopicCallbacks, Partition: eventlog.AnyPartition, Key: key, Value: value}), nil
}
