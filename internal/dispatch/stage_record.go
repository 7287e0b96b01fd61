package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// source is the CloudEvents source of what dispatch says about runs.
const source = "/dalamb/dispatch"

// record makes the records of an outcome: what the function emitted, what became of the run, the dead letter, and what the
// next attempt has to know.
type record struct{ now func() time.Time }

func (s record) do(_ context.Context, w *work) error {
	if w.held {
		return w.takeBack()
	}
	if w.trigger.Replay != nil {
		return s.replayed(w)
	}
	if echo(w) {
		w.records = w.appendProgress(nil)
		return nil
	}
	run := w.story()
	typ, id := event.TypeAttemptFailed, derivedID(w.run, "attempt", w.attempt.Number)
	if w.final() {
		typ, id = event.TypeRunFinished, derivedID(w.run, "finished", 0)
		run.Finished = s.now().Truncate(time.Millisecond)
	}
	told, err := s.tell(w, typ, id, w.run, run)
	if err != nil {
		return err
	}
	records := make([]eventlog.Record, 0, len(w.outputs)+4)
	records = append(append(records, w.outputs...), told)
	if w.sent != nil {
		records = append(records, *w.sent)
	}
	switch redriven := w.request != nil && w.request.RedriveOf != ""; {
	case w.state == function.RunDead:
		dead, err := s.deadLetter(w, run)
		if err != nil {
			return err
		}
		records = append(records, dead)
	case redriven && w.state == function.RunSucceeded:
		resolved, err := resolved(w.request.RedriveOf, "redriven", w.run, s.now())
		if err != nil {
			return err
		}
		records = append(records, resolved...)
	}
	if w.state == function.RunRetrying {
		return w.again(records)
	}
	if records, err = w.callBack(records); err != nil {
		return err
	}
	w.records = w.appendProgress(records)
	return nil
}

// again adds what the next attempt has to know.
func (w *work) again(records []eventlog.Record) error {
	value, err := retryRecord{due: w.due, attempts: w.attempts()}.encode()
	if err != nil {
		return err
	}
	w.records = append(records, w.keys.record(w.keys.retry(w.trigger.In(w.position.Partition), w.position.Offset), value))
	if waitedLong(w.attempts()[w.attempt.Number-1:]) {
		w.records, err = w.delay(w.records)
	}
	return err
}

// echo says that the run's own record would only be the next event of a loop that has been dead-lettered already, as when two
// functions listen to the end of each other's runs.
func echo(w *work) bool {
	return w.cause != nil && w.cause.Hops() > event.MaxHops+1 && event.Reserved(w.cause.Type)
}

// appendProgress takes what the log knows of the run's attempts out of it when there is something.
func (w *work) appendProgress(records []eventlog.Record) []eventlog.Record {
	if w.stored {
		records = append(records, w.keys.forget(w.trigger.In(w.position.Partition), w.position.Offset, w.before)...)
	}
	return records
}

func (w *work) story() function.Run {
	run := function.Run{
		ID: w.run, Function: w.trigger.Function, Trigger: w.name, State: w.state, Event: w.origin,
		Attempts: w.attempts(), Emitted: w.emitted, Sent: w.destination, Reason: w.reason, Lost: w.lost,
	}
	if run.Trigger == "" {
		run.Trigger = w.trigger.Name
	}
	if w.request != nil {
		run.RedriveOf = w.request.RedriveOf
	}
	if run.Answer = w.answerLate(); w.late() {
		return run
	}
	// What a function made of a sealed event may repeat it, and runs are not sealed: they are known after it is forgotten.
	if r := w.result; r != nil && w.state == function.RunSucceeded && len(w.emitted) == 0 && (w.cause == nil || w.cause.Seal == "") {
		if len(r.Body) > 0 && len(r.Body) <= function.MaxResultKept && json.Valid(r.Body) {
			run.Result = r.Body
		} else {
			run.ResultRaw = r.Body[:min(len(r.Body), function.MaxResultKept)]
			if len(run.ResultRaw) < len(r.Body) {
				run.ResultSize = int64(len(r.Body))
			}
		}
	}
	return run
}

// tell makes an event about a run, in _dalamb.runs and with the run's id as key. It is one hop further than its cause, so that
// functions which listen to runs cannot go round for ever.
func (s record) tell(w *work, typ, id, subject string, data any) (eventlog.Record, error) {
	e, err := statement(typ, id, subject, data, s.now())
	if err != nil {
		return eventlog.Record{}, err
	}
	if w.cause != nil {
		e.Extensions = map[string]any{
			event.ExtCausationID: w.cause.ID,
			event.ExtHops:        int32(w.cause.Hops()) + 1,
		}
	}
	return byKey(function.TopicRuns, e), nil
}

func (s record) deadLetter(w *work, run function.Run) (eventlog.Record, error) {
	letter := function.DeadLetter{Run: run, Appended: w.appended}
	letter.Run.Answer = run.Answer.Bare() // the run has it
	cause := w.cause
	if w.request != nil && w.request.RedriveOf != "" {
		// It dies again: under its old name, with all that was tried before.
		letter.Run.ID, letter.Run.RedriveOf = w.request.RedriveOf, ""
		letter.Run.Attempts = append(w.request.Attempts[:len(w.request.Attempts):len(w.request.Attempts)], run.Attempts...)
		for i := range letter.Run.Attempts {
			letter.Run.Attempts[i].Number = i + 1
		}
		if w.input != nil {
			cause = w.input
		}
	}
	if cause != nil {
		b, err := json.Marshal(cause)
		if err != nil {
			return eventlog.Record{}, fmt.Errorf("encode event %s: %w", cause.ID, err)
		}
		letter.Event = b
	}
	// Each time that a run dies it is another fact, so the number of attempts is part of the fact's id.
	id := derivedID(letter.Run.ID, "dead", len(letter.Run.Attempts))
	e, err := statement(event.TypeDeadLetterCreated, id, letter.Run.ID, letter, s.now())
	if err != nil {
		return eventlog.Record{}, err
	}
	r := byKey(function.TopicDead, e)
	r.Seal = eventlog.SealedAs(w.cause)
	return r, nil
}

// Resolved is the data of a deadletter.resolved event: what became of a dead letter.
type Resolved struct {
	ID     string `json:"id"`            // of the dead letter
	Reason string `json:"reason"`        // "redriven", or what the person who discarded it said
	By     string `json:"run,omitempty"` // the run that succeeded
}

// resolved takes a dead letter away and says so.
func resolved(id, reason, by string, now time.Time) ([]eventlog.Record, error) {
	e, err := statement(event.TypeDeadLetterResolved, event.NewID(), id, Resolved{ID: id, Reason: reason, By: by}, now)
	if err != nil {
		return nil, err
	}
	gone := eventlog.Record{Topic: function.TopicDead, Partition: eventlog.AnyPartition, Key: []byte(id)}
	return []eventlog.Record{gone, byKey(function.TopicRuns, e)}, nil
}

// statement makes an event of dispatch's own, keyed by its subject.
func statement(typ, id, subject string, data any, now time.Time) (*event.Event, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return &event.Event{
		ID: id, Source: source, Type: typ, Subject: subject, Time: now,
		DataContentType: "application/json", Data: b,
	}, nil
}

// byKey makes the record of an event, in the partition of its key.
func byKey(topic string, e *event.Event) eventlog.Record {
	r := eventlog.FromEvent(topic, e)
	r.Partition = eventlog.AnyPartition
	return r
}
