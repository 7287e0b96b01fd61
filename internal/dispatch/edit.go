package dispatch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Edit runs a dead letter again with another event in the place of its own, for its trigger alone; the event gets an id of its own and
// names the original as its cause. version 0 = by the live alias. It returns the new event's id.
func (d *Dispatcher) Edit(ctx context.Context, id string, e *event.Event, version int) (string, error) {
	letters, err := d.deadLetters(ctx, func(have string, _ *function.DeadLetter) bool { return have == id })
	if err != nil {
		return "", err
	}
	if len(letters) == 0 {
		return "", noDeadLetter(id)
	}
	dl, seal, err := d.readDead(ctx, letters[0])
	if err != nil {
		return "", err
	}
	if dl == nil {
		return "", noDeadLetter(id)
	}
	var original event.Event
	if err := json.Unmarshal(dl.Event, &original); err != nil {
		return "", fmt.Errorf("decode the event of dead letter %s: %w", id, err)
	}
	if original.Type == event.TypeInvokeRequested {
		return "", fault.New(fault.Invalid, "dead letter %s is an asynchronous call, which has no event", id).WithHint("call the function again: dalamb invoke")
	}
	edited := e.Clone()
	edited.ID = event.NewID()
	if err := edited.SetExtension(event.ExtCausationID, original.ID); err != nil {
		return "", fault.New(fault.Invalid, "set %s: %w", event.ExtCausationID, err)
	}
	text, err := json.Marshal(edited)
	if err != nil {
		return "", fmt.Errorf("encode event %s: %w", edited.ID, err)
	}
	dl.Event = text
	dl.Run.Event.ID, dl.Run.Event.Type, dl.Run.Event.Source = edited.ID, edited.Type, edited.Source
	dl.Run.Event.Subject, dl.Run.Event.Key = edited.Subject, edited.Key()
	request, err := again(edited.ID, id, version, dl, d.now())
	if err != nil {
		return "", err
	}
	r := byKey(function.TopicInvoke, request)
	r.Seal = seal
	if _, err := d.log.Append(ctx, one(r)); err != nil {
		return "", fmt.Errorf("redrive dead letter %s with another event: %w", id, err)
	}
	return edited.ID, nil
}

func noDeadLetter(id string) error {
	return fault.New(fault.NotFound, "there is no dead letter %s", id).WithHint("dalamb dlq ls lists them")
}

// RedriveState is how far a redrive is.
type RedriveState struct {
	Sent     int  // dead letters that were asked to run again
	Finished bool // all that it means have been
}

// RedriveState says how far a redrive is, or NotFound.
func (d *Dispatcher) RedriveState(ctx context.Context, job string) (RedriveState, error) {
	var s RedriveState
	topic, err := d.topics.refresh(ctx, function.TopicJobs)
	if err != nil {
		return s, err
	}
	p := eventlog.Partition{Topic: topic.Name, ID: eventlog.PartitionFor([]byte(job), topic.Partitions)}
	b, err := d.log.Bounds(ctx, p)
	if err != nil {
		return s, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	asked := int64(-1)
	for from := b.Start; from < b.End; {
		rs, err := d.log.Read(ctx, p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return s, fmt.Errorf("read jobs: %w", err)
		}
		if len(rs) == 0 {
			break
		}
		for _, r := range rs {
			e, err := eventlog.ToEvent(r)
			if err != nil || e.Subject != job {
				continue
			}
			switch e.Type {
			case event.TypeRedriveRequested:
				asked = r.Offset
			case event.TypeRedriveFinished:
				var f RedriveFinished
				if err := json.Unmarshal(e.Data, &f); err != nil {
					return s, fmt.Errorf("decode the end of redrive %s: %w", job, err)
				}
				return RedriveState{Sent: f.Count, Finished: true}, nil
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
	if asked < 0 {
		return s, fault.New(fault.NotFound, "there is no redrive %s", job).WithHint("what a redrive did is known for a week")
	}
	at, err := newJobs(d, p).recall(ctx, keysOf(topic.ID, p.ID))
	if err == nil && at.Position == asked {
		s.Sent = at.Count
	}
	return s, err
}
