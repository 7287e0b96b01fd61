package await

import (
	"encoding/json"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const threadHeader = "ce_" + event.ExtCorrelationID

// threadOf is the id of the first event of the chain that a record belongs to; "" = of none. It is asked of every record of a topic, so it reads no
// more than it must.
func threadOf(r *eventlog.Record) string {
	if r.Topic == function.TopicDead {
		return threadOfDead(r.Value)
	}
	for i := range r.Headers {
		switch h := &r.Headers[i]; {
		case h.Name == threadHeader:
			return string(h.Value)
		case strings.EqualFold(h.Name, "content-type") && strings.HasPrefix(strings.ToLower(string(h.Value)), "application/cloudevents"):
			e, err := eventlog.ToEvent(*r) // in structured mode, as other producers may write it
			if err != nil {
				return ""
			}
			return e.Extension(event.ExtCorrelationID)
		}
	}
	return ""
}

// threadOfDead is that of the event in a dead letter. A request that is dead itself has none: its run tells of it.
func threadOfDead(value []byte) string {
	var letter struct {
		Event struct{ CorrelationID string }
	}
	if json.Unmarshal(value, &letter) != nil { // a tombstone, too
		return ""
	}
	return letter.Event.CorrelationID
}
