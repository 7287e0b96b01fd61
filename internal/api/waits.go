package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// States of an event on a trigger that no run tells of.
const (
	stateWaiting = "waiting"
	stateUnknown = "unknown"
)

// waits says why there is no run of the event on a trigger that wanted it: what it waits for, or why nothing is known.
func (s *story) waits(ctx context.Context, w *wire.Wanted) (state, reason string, err error) {
	rec := s.found.record
	t, err := s.now.Trigger(w.Function, w.Trigger)
	if err != nil || t.Topic != s.topic.Name {
		return stateUnknown, "the trigger is gone, and what waited for it was discarded with it", nil
	}
	if begin := t.Begin(s.topic.ID, rec.Partition); rec.Offset < begin {
		return stateUnknown, fmt.Sprintf("the trigger was sought, or made anew, and begins at offset %d since", begin), nil
	}
	positions, err := s.api.dispatcher.Positions(ctx, t)
	if err != nil {
		return "", "", fmt.Errorf("read the positions of %s/%s: %w", w.Function, w.Trigger, err)
	}
	position, known := positions[rec.Partition]
	if known && rec.Offset < position {
		return stateUnknown, "it is done with, and what became of it is not known any more: runs are kept for a week", nil
	}
	if t.Paused {
		return stateWaiting, fmt.Sprintf("the trigger is paused: dalamb trigger resume %s/%s", w.Function, w.Trigger), nil
	}
	if key := s.found.event.Key(); slices.Contains(t.PausedKeys, key) {
		return stateWaiting, fmt.Sprintf("its key %q is paused: dalamb key resume %s/%s", key, w.Function, w.Trigger), nil
	}
	before, err := s.ahead(t)
	if err != nil {
		return "", "", err
	}
	if before != nil {
		return stateWaiting, behindWords(before, t), nil
	}
	if !known {
		return stateWaiting, "no attempt is over; how far the trigger is, is not known at this moment", nil
	}
	return stateWaiting, fmt.Sprintf("no attempt is over; in this partition the trigger is at offset %d, %d before it", position, rec.Offset-position), nil
}

// ahead is a run that is tried again and that this event waits behind; nil = none is known.
func (s *story) ahead(t *catalog.Trigger) (*function.Run, error) {
	rec, key := s.found.record, s.found.event.Key()
	if t.Order == function.OrderNone || t.Order != function.OrderPartition && key == "" {
		return nil, nil
	}
	page, err := s.api.history.Runs(history.Query{Function: t.Function, Trigger: t.Name, State: function.RunRetrying, Limit: history.MaxLimit})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Rows {
		e := &r.Event
		if e.Topic == rec.Topic && e.Partition == rec.Partition && e.Offset < rec.Offset && (t.Order == function.OrderPartition || keyOf(e) == key) {
			return r, nil
		}
	}
	return nil, nil
}

// keyOf is an event's key: its partition key, else its subject.
func keyOf(e *function.EventRef) string {
	if e.Key != "" {
		return e.Key
	}
	return e.Subject
}

func behindWords(r *function.Run, t *catalog.Trigger) string {
	text := fmt.Sprintf("behind run %s of the same key %q", r.ID, fault.Clip(keyOf(&r.Event)))
	if t.Order == function.OrderPartition {
		text = fmt.Sprintf("behind run %s of the same partition", r.ID)
	}
	if n := len(r.Attempts); n > 0 && !r.Attempts[n-1].Next.IsZero() {
		text += fmt.Sprintf(", whose attempt %d is due at %s", r.Attempts[n-1].Number+1, r.Attempts[n-1].Next.UTC().Format(time.RFC3339))
	}
	return text
}
