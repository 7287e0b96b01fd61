package dispatch

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// fetch reads the event again when there was no room to keep it.
type fetch struct{ log eventlog.Log }

func (s fetch) do(ctx context.Context, w *work) error {
	if w.cause != nil || w.settled() {
		return nil
	}
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
