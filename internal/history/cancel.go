package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// cancelPrefix begins the keys of what was cancelled, C <event id> -> the time. These are few, and are no runs: whether there is one
// yet does not matter.
const cancelPrefix = 'C'

func cancelKey(eventID string) []byte {
	return append([]byte{cancelPrefix}, eventTerm(eventID).value...)
}

// cancelled folds a run.cancelled event, whose subject is the id of the event that is not to be run.
func (f *fold) cancelled(batch *pebble.Batch, r eventlog.Record, e *event.Event) error {
	if e.Subject == "" {
		return &notUnderstood{errors.New("a cancellation of nothing")}
	}
	f.changed = append(f.changed, e.Subject)
	return batch.Set(cancelKey(e.Subject), binary.BigEndian.AppendUint64(nil, uint64(r.Time.UnixMilli())), nil)
}

// Cancelled says whether the caller of an event's run does not want it any more.
func (h *History) Cancelled(eventID string) (bool, error) {
	_, closer, err := h.db.Get(cancelKey(eventID))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read whether %s is cancelled: %w", eventID, err)
	}
	return true, closer.Close()
}

// forgetCancelled removes cancellations from before a time.
func (h *History) forgetCancelled(cutoff time.Time) error {
	it, err := h.db.NewIter(&pebble.IterOptions{LowerBound: []byte{cancelPrefix}, UpperBound: []byte{cancelPrefix + 1}})
	if err != nil {
		return fmt.Errorf("scan cancellations: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if b := it.Value(); len(b) == 8 && time.UnixMilli(int64(binary.BigEndian.Uint64(b))).Before(cutoff) {
			if err := h.db.Delete(it.Key(), pebble.NoSync); err != nil {
				return fmt.Errorf("remove a cancellation: %w", err)
			}
		}
	}
	return it.Error()
}
