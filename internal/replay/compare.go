package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// maxDifferences is how many differences a report shows.
const maxDifferences = 20

// comparer holds replayed runs against the original ones.
type comparer struct {
	log     eventlog.Log
	history *history.History
}

// original finds the run that the event had when it was live: the newest that is over, redrives left aside. nil = none is known.
func (c comparer) original(r *function.ReplayedRun) (*function.Run, error) {
	q := history.Query{Function: r.Function, Trigger: r.Trigger, EventID: r.Event.ID, EventAt: &r.Event, Limit: history.MaxLimit}
	for {
		page, err := c.history.Runs(q)
		if err != nil {
			return nil, fmt.Errorf("look for the original run: %w", err)
		}
		for _, run := range page.Rows {
			if run.RedriveOf == "" && (run.State == function.RunSucceeded || run.State == function.RunDead) {
				return run, nil
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil, nil
		}
	}
}

// verdict is what a replayed run comes to beside its original.
type verdict struct {
	original *function.Run // nil = none is known
	kind     string        // of a ReplayDifference; "" = the same, as far as is known
	unknown  bool          // of events that were emitted no more is known than their topics, types and keys, which are the same
}

// judge compares a replayed run with its original. Where batched, what an invocation answered belongs to the first event of a batch that
// is another the next time: then only success and failure are compared.
func (c comparer) judge(ctx context.Context, r *function.ReplayedRun, batched bool) (verdict, error) {
	o, err := c.original(r)
	if err != nil || o == nil {
		return verdict{}, err
	}
	kind, unknown, err := kindOf(ctx, o, &r.Run, batched, c.find, capturedOr(r, c.find))
	return verdict{original: o, kind: kind, unknown: unknown}, err
}

// Find returns an event that a run emitted when it finished; nil = its bytes are not kept.
type Find func(ctx context.Context, e function.Emitted, finished time.Time) (*event.Event, error)

// kindOf is the kind of a ReplayDifference, "" = the same, or not known to be another. before and after are asked for events of the two runs of which no digest is known.
func kindOf(ctx context.Context, o, r *function.Run, batched bool, before, after Find) (kind string, unknown bool, err error) {
	passed, passes := o.State == function.RunSucceeded, r.State == function.RunSucceeded
	switch {
	case passed && !passes:
		return function.ReplayNewlyFailing, false, nil
	case !passed && passes:
		return function.ReplayNewlyPassing, false, nil
	case batched:
		return "", false, nil
	case !passed && lastError(o) != lastError(r), passed && !sameResult(o, r):
		return function.ReplayDifferent, false, nil
	case passed:
		same, unknown, err := sameEvents(ctx, o, r, before, after)
		if err == nil && !same {
			kind = function.ReplayDifferent
		}
		return kind, same && unknown, err
	}
	return "", false, nil
}

// lastError is why a run failed, in the function's words.
func lastError(r *function.Run) string {
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Failure != nil {
		f := r.Attempts[n-1].Failure
		return f.Type + ": " + f.Message
	}
	return r.Reason
}

func sameResult(a, b *function.Run) bool {
	if len(a.Emitted) > 0 || len(b.Emitted) > 0 {
		return true // the events are the result
	}
	var d differ
	d.compare("", result(a), result(b))
	return len(d.changes) == 0
}

// result is what a run answered, as a JSON value; text where it was something else.
func result(r *function.Run) any {
	if v, ok := event.Value(r.Result); ok {
		return v
	}
	if len(r.ResultRaw) > 0 {
		return map[string]any{"text": string(r.ResultRaw), "size": max(r.ResultSize, int64(len(r.ResultRaw)))}
	}
	return none{}
}

// sameEvents holds the events of two runs against each other by their digests, and where one is not known by what stands in the log. Of what is not kept, or forgotten,
// nothing more is known than its topic, type and key: unknown says that there is such a one.
func sameEvents(ctx context.Context, o, r *function.Run, before, after Find) (same, unknown bool, err error) {
	if len(o.Emitted) != len(r.Emitted) {
		return false, false, nil
	}
	for i := range o.Emitted {
		a, b := o.Emitted[i], r.Emitted[i]
		if a.Topic != b.Topic {
			return false, false, nil
		}
		is, err := digestOf(ctx, b, r.Finished, after)
		if err != nil {
			return false, false, err
		}
		was := ""
		if is != "" { // else there is nothing to hold it against
			if was, err = digestOf(ctx, a, o.Finished, before); err != nil {
				return false, false, err
			}
		}
		switch {
		case was != "" && is != "" && was != is:
			return false, false, nil
		case was != "" && is != "":
		case a.Type != b.Type || a.Key != b.Key:
			return false, false, nil
		default:
			unknown = true
		}
	}
	return true, unknown, nil
}

// digestOf is that of an event that a run emitted when it finished. "" = it is not known: of what goes to sealed topics none stands with the run, nor of what an older
// dalamb wrote, and the event is not there any more.
func digestOf(ctx context.Context, e function.Emitted, finished time.Time, find Find) (string, error) {
	if e.Digest != "" {
		return e.Digest, nil
	}
	found, err := find(ctx, e, finished)
	if err != nil || found == nil || lost(found) {
		return "", err
	}
	return found.Digest(), nil
}

// lost says that an event was sealed and cannot be opened any more. Who sent it may have said so of one that has data.
func lost(e *event.Event) bool { return len(e.Data) == 0 && e.Extension(event.ExtSealed) != "" }

// difference says in what a run differs from its original.
func (c comparer) difference(ctx context.Context, v verdict, r *function.ReplayedRun) (function.ReplayDifference, error) {
	out := function.ReplayDifference{Kind: v.kind, Event: r.Event, Original: v.original.ID, Replayed: r.ID}
	var err error
	out.Changes, out.Note, err = changes(ctx, v.original, &r.Run, v.kind, c.find, capturedOr(r, c.find))
	return out, err
}

// capturedOr finds what a replayed run has captured in the run itself.
func capturedOr(r *function.ReplayedRun, find Find) Find {
	return func(ctx context.Context, e function.Emitted, finished time.Time) (*event.Event, error) {
		for i := range r.Emitted {
			if r.Emitted[i].ID != e.ID || i >= len(r.Captured) {
				continue
			}
			captured := new(event.Event)
			if err := json.Unmarshal(r.Captured[i], captured); err != nil {
				return nil, nil // what cannot be read is not kept
			}
			return captured, nil
		}
		return find(ctx, e, finished)
	}
}

// changes are the places in which a run differs from its original. note says what could not be compared.
func changes(ctx context.Context, o, r *function.Run, kind string, before, after Find) (list []function.ReplayChange, note string, err error) {
	var d differ
	if o.State != function.RunSucceeded || r.State != function.RunSucceeded {
		d.compare("state", string(o.State), string(r.State))
		d.compare("error", orNone(o), orNone(r))
	}
	if kind == function.ReplayDifferent {
		d.compare("result", result(o), result(r))
	}
	for i := range max(len(o.Emitted), len(r.Emitted)) {
		was, missing, err := content(ctx, o, i, before)
		if err != nil {
			return nil, "", err
		}
		is, gone, err := content(ctx, r, i, after)
		if err != nil {
			return nil, "", err
		}
		if missing || gone {
			note = "not all events that were emitted are kept; those are compared by their digests alone, or by type and key where there are none"
			continue
		}
		d.compare(fmt.Sprintf("emitted[%d]", i), was, is)
	}
	return d.changes, note, nil
}

// Runs holds a run against another one of the same trigger on the same event, each with what finds its events. A zero Kind = they came to the same.
func Runs(ctx context.Context, first, second *function.Run, batched bool, before, after Find) (function.ReplayDifference, error) {
	out := function.ReplayDifference{Event: first.Event, Original: first.ID, Replayed: second.ID}
	var err error
	if out.Kind, _, err = kindOf(ctx, first, second, batched, before, after); err != nil || out.Kind == "" {
		return out, err
	}
	out.Changes, out.Note, err = changes(ctx, first, second, out.Kind, before, after)
	return out, err
}

// Replayed holds a replayed run against another one of the same event, as Runs does.
func Replayed(ctx context.Context, first, second *function.ReplayedRun) (function.ReplayDifference, error) {
	none := func(context.Context, function.Emitted, time.Time) (*event.Event, error) { return nil, nil }
	return Runs(ctx, &first.Run, &second.Run, false, capturedOr(first, none), capturedOr(second, none))
}

func orNone(r *function.Run) any {
	if r.State == function.RunSucceeded {
		return none{}
	}
	return lastError(r)
}

// content is the i-th event of a run, as a value; none where there is no i-th one. gone = there was, and its bytes are not kept.
func content(ctx context.Context, r *function.Run, i int, find Find) (v any, gone bool, err error) {
	if i >= len(r.Emitted) {
		return none{}, false, nil
	}
	e, err := find(ctx, r.Emitted[i], r.Finished)
	if err != nil || e == nil || lost(e) {
		return nil, true, err
	}
	content := contentOf(e)
	content["topic"] = r.Emitted[i].Topic
	return content, false, nil
}

// Bounds of the search for an event of which the time is known.
const (
	findBefore = 10 * time.Second
	findAfter  = time.Minute // a run's events are stored with its end; clocks of nodes differ
	findMost   = 20_000
)

// find reads an event that a run emitted when it finished; nil = it is not there any more, or was never appended.
func (c comparer) find(ctx context.Context, e function.Emitted, finished time.Time) (*event.Event, error) {
	topics, err := c.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name != e.Topic {
			continue
		}
		for id := range t.Partitions {
			if e.Key != "" && id != eventlog.PartitionFor([]byte(e.Key), t.Partitions) {
				continue
			}
			found, err := c.findIn(ctx, eventlog.Partition{Topic: t.Name, ID: id}, e.ID, finished)
			if found != nil || err != nil {
				return found, err
			}
		}
	}
	return nil, nil
}

func (c comparer) findIn(ctx context.Context, p eventlog.Partition, id string, finished time.Time) (*event.Event, error) {
	from, err := c.log.OffsetAt(ctx, p, finished.Add(-findBefore))
	if err != nil {
		return nil, fmt.Errorf("look for event %s: %w", id, err)
	}
	for seen := 0; seen < findMost; {
		rs, err := c.log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return nil, fmt.Errorf("look for event %s: %w", id, err)
		}
		if len(rs) == 0 {
			return nil, nil
		}
		for _, r := range rs {
			if !holds(r, id) {
				continue
			}
			if e, err := eventlog.ToEvent(r); err == nil && e.ID == id {
				return e, nil
			}
		}
		seen += len(rs)
		if last := rs[len(rs)-1].Time; !finished.IsZero() && last.After(finished.Add(findAfter)) {
			return nil, nil
		}
		from = rs[len(rs)-1].Offset + 1
	}
	return nil, nil
}

// holds says cheaply whether a record can be the event with an id.
func holds(r eventlog.Record, id string) bool {
	for _, h := range r.Headers {
		if h.Name == "ce_id" {
			return string(h.Value) == id
		}
	}
	return bytes.Contains(r.Value, []byte(id))
}
