package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// ScheduleList is the answer to GET /v1/schedules.
type ScheduleList struct {
	Schedules []Schedule `json:"schedules"`
}

// Schedule is the schedule of a trigger, when it ticked and when it will.
type Schedule struct {
	Function string            `json:"function"`
	Trigger  string            `json:"trigger"`
	Schedule string            `json:"schedule"`
	Timezone string            `json:"timezone,omitempty"`
	Jitter   function.Duration `json:"jitter,omitzero"`
	CatchUp  function.CatchUp  `json:"catchUp" enum:"none,last,all"`
	Paused   bool              `json:"paused"`
	Last     time.Time         `json:"last,omitzero"` // the newest planned time of which there is a tick
	Next     []time.Time       `json:"next"`          // planned times, before jitter, in the schedule's time zone; none while paused, or when there are no more
}
