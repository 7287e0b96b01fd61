package catalog

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Plan is a stretch of time in which a trigger's schedule is in force. A schedule that is changed, or goes on after a pause, has a
// new one; one that is the same in the next version keeps it.
type Plan struct {
	ID   int64     `json:"id"`   // unique over all time
	From time.Time `json:"from"` // a whole second, so that "@every" ticks at one
}

// plan begins the plan of the i-th trigger of the function that the event is about; nil for a trigger without a schedule.
func (b birth) plan(t function.Trigger, i int) *Plan {
	if t.Schedule == "" {
		return nil
	}
	return &Plan{ID: b.uid(i), From: b.at.Truncate(time.Second)}
}
