package wire

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// ReplayRequest asks for a stretch of history to be run again.
type ReplayRequest struct {
	Name       string                `json:"name,omitempty"` // absent = made from the function's name and the time
	Function   string                `json:"function"`
	Trigger    string                `json:"trigger"`
	From       string                `json:"from"`                 // earliest, a time, or how long ago
	To         string                `json:"to,omitempty"`         // a time, or how long ago; absent = now
	Filter     json.RawMessage       `json:"filter,omitempty"`     // of what the trigger's own filter matches
	Key        string                `json:"key,omitempty"`        // only events of this key
	FailedOnly bool                  `json:"failedOnly,omitempty"` // only events whose run failed for good
	Events     []string              `json:"events,omitempty"`     // only these, as PARTITION@OFFSET of the trigger's topic; then from may be absent
	Version    string                `json:"version,omitempty"`    // a number or an alias; absent = live
	Output     function.ReplayOutput `json:"output,omitempty" enum:"capture,publish,discard"`
	Rate       float64               `json:"rate,omitempty"` // runs a second; absent = no bound
	DryRun     bool                  `json:"dryRun,omitempty"`
}

// Replay is a replay and what is known of it.
type Replay struct {
	function.Replay
	State   string                 `json:"state" enum:"planned,running,finished,cancelled,failed"`
	Started time.Time              `json:"started,omitzero"`
	Ended   time.Time              `json:"ended,omitzero"`
	Report  *function.ReplayReport `json:"report,omitempty"` // absent of one that is planned
	Sample  []EventAt              `json:"sample,omitempty"` // of one that is planned: the first events, at most 20
}

// States of a Replay beside those that it ends with.
const (
	ReplayPlanned = "planned"
	ReplayRunning = "running"
)

// ReplayedRuns is the answer to GET /v1/replays/{replay}/runs.
type ReplayedRuns struct {
	Runs []function.ReplayedRun `json:"runs"` // in the order in which they ended
	More bool                   `json:"more"` // there are others behind them
}

// ReplayList is the answer to GET /v1/replays.
type ReplayList struct {
	Replays []Replay `json:"replays"`
}
