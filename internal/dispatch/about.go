package dispatch

import (
	"encoding/json"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// about is the function whose run, dead letter or request an event of a system topic tells of; "" for any other event.
func about(topic string, e *event.Event) string {
	switch topic {
	case function.TopicRuns, function.TopicRequests, function.TopicDead:
	default:
		return ""
	}
	var told struct {
		Function string `json:"function"`
		Run      struct {
			Function string `json:"function"`
		} `json:"run"`
	}
	switch e.Type {
	case event.TypeRequestCompleted:
		return e.Subject
	case event.TypeRunFinished, event.TypeBatchFinished, event.TypeAttemptFailed, event.TypeDeadLetterCreated:
		if json.Unmarshal(e.Data, &told) != nil {
			return ""
		}
	}
	if told.Function == "" {
		return told.Run.Function
	}
	return told.Function
}

// notOwn takes out the triggers of the function that an event tells of: one that listens to what becomes of runs would feed itself.
// It changes ts.
func notOwn(topic string, e *event.Event, ts []*catalog.Trigger) []*catalog.Trigger {
	if len(ts) == 0 {
		return ts
	}
	fn := about(topic, e)
	if fn == "" {
		return ts
	}
	kept := ts[:0]
	for _, t := range ts {
		if t.Function != fn {
			kept = append(kept, t)
		}
	}
	return kept
}
