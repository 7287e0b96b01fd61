package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Trace is what one event led to: a tree of events and runs.
type Trace struct {
	ID    string      `json:"id"` // that was asked for
	Roots []TraceNode `json:"roots"`
	Nodes int         `json:"nodes"`
	Began time.Time   `json:"began"`
	Ended time.Time   `json:"ended"`
	Cut   []string    `json:"cut,omitempty"` // what is missing, in words
}

// TraceNode is an event, or a run of one on one trigger. Below an event are its runs, below a run the events that it emitted.
type TraceNode struct {
	Kind     string            `json:"kind" enum:"event,request,run"`
	ID       string            `json:"id"`
	Name     string            `json:"name"` // the event's type, the request's method and path, or FUNCTION/TRIGGER
	At       string            `json:"at,omitempty"`
	Key      string            `json:"key,omitempty"`
	Began    time.Time         `json:"began,omitzero"`
	Took     function.Duration `json:"took,omitzero"`
	State    string            `json:"state,omitempty"` // of a run; of a request the status
	Attempts int               `json:"attempts,omitempty"`
	Version  int               `json:"version,omitempty"`
	Note     string            `json:"note,omitempty"`
	Below    []TraceNode       `json:"below,omitempty"`
}
