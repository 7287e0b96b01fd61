package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Explanation is the story of an event: where it came from, who wanted it and who did not, and what became of it.
type Explanation struct {
	Event  EventAt    `json:"event"`
	Found  Found      `json:"found"`
	Source EventCause `json:"source"`

	// Control is the offset of the control topic up to which the platform's state was folded that the event met.
	Control int64           `json:"control"`
	Wanted  []Wanted        `json:"wanted"`            // by triggers that wanted it then, or whose runs are known
	Refused []Refused       `json:"refused,omitempty"` // by whom it was not wanted, grouped by the reason
	More    int             `json:"more,omitempty"`    // groups that are left out of Refused
	Now     []TriggerChange `json:"now,omitempty"`     // what is otherwise since
}

// Found says how an event was found, and what that took.
type Found struct {
	By     string    `json:"by" enum:"place,index,time,scan"`
	Looked int       `json:"looked,omitempty"` // events that were read
	Since  time.Time `json:"since,omitzero"`   // of a scan: as far back as it has looked
}

// EventCause is where an event came from.
type EventCause struct {
	Kind string `json:"kind" enum:"request,run,tick,git,image,invoke,sent"`
	Text string `json:"text"` // in words

	Event   string            `json:"event,omitempty"` // of the event that caused it
	Run     string            `json:"run,omitempty"`   // that emitted it
	Request *function.Request `json:"request,omitempty"`
}

// Wanted is a trigger that wanted an event, and what came of it.
type Wanted struct {
	Function string         `json:"function"`
	Trigger  string         `json:"trigger"`
	Version  int            `json:"version,omitempty"` // that live was at when the event came
	State    string         `json:"state" enum:"retrying,succeeded,dead,discarded,expired,waiting,unknown"`
	Reason   string         `json:"reason,omitempty"` // why it waits, or is not known
	Runs     []function.Run `json:"runs"`             // the oldest first
}

// Refused are triggers that did not want an event, all for the same reason.
type Refused struct {
	Path     string   `json:"path,omitempty"` // of the first predicate that failed
	Reason   string   `json:"reason"`
	Triggers []string `json:"triggers"` // FUNCTION/TRIGGER, at most 20
	Count    int      `json:"count"`    // all of them
}

// TriggerChange is what a trigger would do now with an event that it met otherwise.
type TriggerChange struct {
	Function string `json:"function"`
	Trigger  string `json:"trigger"`
	Text     string `json:"text"`
}
