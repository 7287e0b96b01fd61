package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// fetch reads the event again when there was no room to keep it, and settles runs of events whose data is gone.
type fetch struct {
	log       eventlog.Log
	forgotten func(seal string) bool
}

func (s fetch) do(ctx context.Context, w *work) error {
	if w.cause == nil && !w.settled() {
		if err := s.read(ctx, w); err != nil {
			return err
		}
	}
	if w.cause == nil || w.settled() {
		return nil
	}
	why := w.cause.Extension(event.ExtSealed)
	if w.cause.Seal == "" && (why == "" || len(w.cause.Data) > 0) {
		return nil
	}
	switch {
	// A copy of what was forgotten is not sealed: there is nothing left in it. The attribute alone says so.
	case w.cause.Seal == "" && why == event.SealedForgotten, w.cause.Seal != "" && s.forgotten(w.cause.Seal):
		w.origin = refOf(w.position, w.cause)
		w.settle(function.RunDiscarded, "the event's data was forgotten, by dalamb forget")
	case why == event.SealedDamaged:
		w.origin = refOf(w.position, w.cause)
		w.settle(function.RunDiscarded, "the event's data cannot be opened: what topic %s holds is not what was sealed", w.position.Topic)
	}
	return nil
}

func (s fetch) read(ctx context.Context, w *work) error {
	p := eventlog.Partition{Topic: w.position.Topic, ID: w.position.Partition}
	rs, err := s.log.Read(ctx, p, w.position.Offset, eventlog.ReadOptions{TopicID: w.keys.topicID, MaxRecords: 1, NoWait: true})
	switch {
	case fault.KindOf(err) == fault.NotFound:
		rs = nil
	case err != nil:
		return fmt.Errorf("read event %d of %s/%d: %w", w.position.Offset, p.Topic, p.ID, err)
	}
	if len(rs) == 0 || rs[0].Offset != w.position.Offset {
		if waitedLong(w.before) {
			r, err := w.shelf.find(ctx, w.trigger.In(w.position.Partition), w.position.Offset)
			if errors.Is(err, errForgotten) {
				w.origin = refOf(w.position, nil)
				w.settle(function.RunDiscarded, "the event's data was forgotten, by dalamb forget, and its topic holds the event no more")
				return nil
			}
			if err != nil {
				return err
			}
			if r != nil {
				w.cause, w.appended = r.event, r.appended
				return nil
			}
		}
		w.origin = refOf(w.position, nil)
		w.settle(function.RunExpired, "the retention of topic %s removed the event before its turn", p.Topic)
		return nil
	}
	e := eventlog.EventOf(&rs[0])
	if e == nil {
		return fmt.Errorf("decode event %d of %s/%d: it is none", w.position.Offset, p.Topic, p.ID)
	}
	w.cause, w.appended = e, rs[0].Time
	return nil
}
