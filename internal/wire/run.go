package wire

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// RunList is a page of runs, newest first.
type RunList struct {
	Runs []function.Run `json:"runs"`
	Next string         `json:"next,omitempty"` // the after of the next page; absent = this is the last
}

// RunCounts are how many runs there were lately: each where it stands now, in the minute of the newest that is known of it.
type RunCounts struct {
	Since    time.Time                   `json:"since"` // all runs since then are counted: 15 minutes, or less where the node began later
	Triggers []TriggerRuns               `json:"triggers"`
	Others   map[function.RunState]int64 `json:"others,omitempty"` // runs of the triggers that are too many to be counted each for itself
}

// TriggerRuns are those of one trigger.
type TriggerRuns struct {
	Function string                      `json:"function"`
	Trigger  string                      `json:"trigger"`
	Runs     map[function.RunState]int64 `json:"runs"`
	Emitted  map[string]int64            `json:"emitted,omitempty"` // events, by topic
	Wants    []string                    `json:"wants,omitempty"`   // types of events that the runs were about, or some of them
	Emits    []string                    `json:"emits,omitempty"`   // types of events that they emitted, or some of them
}

// RunDetail is a run and the event that it is about.
type RunDetail struct {
	Run   function.Run    `json:"run"`
	Event json.RawMessage `json:"event,omitempty"` // structured CloudEvent; absent when the log does not hold it any more

	// Versions are those that tried it, and where each came from, as far as they are kept and that is known.
	Versions []RunVersion `json:"versions,omitempty"`
}

// RunVersion is a version that tried a run.
type RunVersion struct {
	Number int              `json:"number"`
	Origin *function.Origin `json:"origin"`
}

// DeadList is a page of dead letters, newest first.
type DeadList struct {
	DeadLetters []function.DeadLetter `json:"deadLetters"`
	Next        string                `json:"next,omitempty"`
}

// Redrive says which dead letters to run again: those named, or those that all of the other fields select. All must be said
// when no field selects anything.
type Redrive struct {
	IDs      []string        `json:"ids,omitempty"`
	Function string          `json:"function,omitempty"`
	Trigger  string          `json:"trigger,omitempty"`
	Pattern  json.RawMessage `json:"pattern,omitempty"` // matched against the dead letter's event
	Before   time.Time       `json:"before,omitzero"`   // the run died before
	After    time.Time       `json:"after,omitzero"`    // the run did not die before
	Error    string          `json:"error,omitempty"`   // the last error has this text in it
	Version  int             `json:"version,omitempty"` // run this version; absent = by the live alias
	All      bool            `json:"all,omitempty"`
	Rate     float64         `json:"rate,omitempty"` // runs per second; absent = as fast as the triggers take them
}

// RedriveStarted names the job that redrives.
type RedriveStarted struct {
	Job      string `json:"job"`
	Selected int    `json:"selected"` // dead letters when it was asked for
}

// Discard gives dead letters up.
type Discard struct {
	IDs    []string `json:"ids"`
	Reason string   `json:"reason,omitempty"`
}

// Discarded counts the dead letters that are gone.
type Discarded struct {
	Discarded int `json:"discarded"`
}

// RedriveState is how far a redrive is.
type RedriveState struct {
	Job      string `json:"job"`
	Sent     int    `json:"sent"` // dead letters that were asked to run again
	Finished bool   `json:"finished"`
}

// DeadEdit runs a dead letter again with another event.
type DeadEdit struct {
	Event   json.RawMessage `json:"event"`             // structured CloudEvent; it gets an id of its own
	Version int             `json:"version,omitempty"` // run this version; absent = by the live alias
}

// DeadEdited names the event that runs in a dead letter's place.
type DeadEdited struct {
	Event string `json:"event"` // id
}
