package callback

import (
	"encoding/json"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// told says what came of an alert's webhook, for the record that says it; nil for other callbacks: of these a run's state tells. The same outcome has the same id,
// though a killed node's successor may tell it again.
func (p *keeper) told(key string, c *function.Callback, tries int, outcome error, again bool) []eventlog.Record {
	if c.Alert == "" {
		return nil
	}
	t := function.AlertTold{Alert: c.Alert, Event: key, At: p.o.Now().UTC(), Tries: tries, Again: again}
	id := key + "-told"
	if outcome != nil {
		t.Error = outcome.Error()
	}
	if again {
		id = key + "-trying"
	}
	data, err := json.Marshal(t)
	if err != nil {
		p.o.Logger.Warn("what came of an alert's webhook is not told", "alert", c.Alert, "err", err)
		return nil
	}
	r := eventlog.FromEvent(function.TopicAlerts, &event.Event{
		ID: id, Source: "/dalamb/alerts", Type: event.TypeAlertTold, Subject: c.Alert, Time: t.At, DataContentType: "application/json", Data: data,
		Extensions: map[string]any{event.ExtPartitionKey: c.Alert},
	})
	r.Partition = 0 // where all is that is said of alerts
	return []eventlog.Record{r}
}
