package history

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// sealedStay is event.ExtSealed of an event in the index whose data is in the log alone, sealed there: an index beside the log would keep it when it is forgotten.
const sealedStay = "sealed"

// withoutData is a dead letter as the index keeps it when the log keeps it sealed.
func withoutData(d *function.DeadLetter) ([]byte, error) {
	bare := *d
	if len(d.Event) > 0 {
		var e event.Event
		if err := json.Unmarshal(d.Event, &e); err != nil {
			return nil, err
		}
		e.Data, e.DataContentType = nil, ""
		if err := e.SetExtension(event.ExtSealed, sealedStay); err != nil {
			return nil, err
		}
		text, err := json.Marshal(&e)
		if err != nil {
			return nil, err
		}
		bare.Event = text
	}
	return json.Marshal(bare)
}

// staysInLog says that the index has a dead letter without its event's data.
func staysInLog(d *function.DeadLetter) bool {
	var e event.Event
	return json.Unmarshal(d.Event, &e) == nil && e.Extension(event.ExtSealed) == sealedStay
}

// WholeDeadLetter is DeadLetter with the event's data, also where that has to be read from the log. Where it was forgotten since, the dead letter is
// given without.
func (h *History) WholeDeadLetter(ctx context.Context, id string) (*function.DeadLetter, error) {
	d, err := h.DeadLetter(id)
	if err != nil || !staysInLog(d) {
		return d, err
	}
	r, found, err := deadTable().get(h.db, id)
	if err != nil || !found {
		return d, err
	}
	p := eventlog.Partition{Topic: function.TopicDead, ID: r.partition}
	rs, err := h.log.Read(ctx, p, r.offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return nil, fmt.Errorf("read dead letter %s: %w", id, err)
	}
	whole := new(function.DeadLetter)
	if len(rs) == 0 || rs[0].Offset != r.offset || string(rs[0].Key) != id || rs[0].Lost() || json.Unmarshal(rs[0].Value, whole) != nil {
		return d, nil
	}
	return whole, nil
}
