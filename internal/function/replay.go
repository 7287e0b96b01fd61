package function

import (
	"encoding/json"
	"time"
)

// ReplayOutput is what becomes of the events that a replayed run returns.
type ReplayOutput string

const (
	ReplayCapture ReplayOutput = "capture" // kept in the replay's report
	ReplayPublish ReplayOutput = "publish" // appended, as a live run's are
	ReplayDiscard ReplayOutput = "discard" // compared, and thrown away
)

// ReplayOutputs lists what there is, the default first.
func ReplayOutputs() []ReplayOutput {
	return []ReplayOutput{ReplayCapture, ReplayPublish, ReplayDiscard}
}

// Replay is a stretch of history that a trigger runs again, beside its live work.
type Replay struct {
	Name       string          `json:"name"` // unique in the installation
	Function   string          `json:"function"`
	Trigger    string          `json:"trigger"`
	Topic      string          `json:"topic"`
	From       time.Time       `json:"from"` // events appended at or after
	To         time.Time       `json:"to"`   // and before
	Filter     json.RawMessage `json:"filter,omitempty"`
	Key        string          `json:"key,omitempty"` // events of this key alone
	FailedOnly bool            `json:"failedOnly,omitempty"`
	Version    int             `json:"version"`
	Output     ReplayOutput    `json:"output" enum:"capture,publish,discard"`
	Rate       float64         `json:"rate,omitempty"`    // runs a second over the whole installation; absent = no bound
	Events     int64           `json:"events"`            // that it is about
	AtLeast    bool            `json:"atLeast,omitempty"` // there are more: counting ended at its bound
}

// TopicReplays holds what became of replayed runs; the key of a record is the replay's name.
const TopicReplays = "_dalamb.replays"

// ReplayedRun is the data of a replay.run.finished event in _dalamb.replays.
type ReplayedRun struct {
	Run
	Replay string `json:"replay"`
	// Captured are the events that the run would have emitted, structured, where the replay captures them; those past
	// MaxCaptured bytes are left out.
	Captured []json.RawMessage `json:"captured,omitempty"`
	Cut      bool              `json:"cut,omitempty"` // some are left out
}

// MaxCaptured is how many bytes of events one replayed run keeps.
const MaxCaptured = 256 << 10

// ReplayedPartition is the data of a replay.partition.finished event in _dalamb.replays: nothing is left to do there.
type ReplayedPartition struct {
	Replay    string `json:"replay"`
	Partition int32  `json:"partition"`
}

// How a replay ended.
const (
	ReplayFinished  = "finished"
	ReplayCancelled = "cancelled"
	ReplayFailed    = "failed" // its topic is gone
)

// ReplayReport compares the runs of a replay with the original ones.
type ReplayReport struct {
	Runs          int64 `json:"runs"`
	Same          int64 `json:"same"`
	Different     int64 `json:"different"`               // both succeeded or both failed, with another result, events or error
	NewlyFailing  int64 `json:"newlyFailing"`            // the original succeeded
	NewlyPassing  int64 `json:"newlyPassing"`            // the original failed
	NoOriginal    int64 `json:"noOriginal"`              // no original run is known, or none that is over
	NotComparable int64 `json:"notComparable,omitempty"` // of events that a run emitted to sealed topics the data is not kept: their topics, types and keys are the same
	NotRun        int64 `json:"notRun"`                  // the event was gone, or the replay was cancelled
	Failing       int64 `json:"failing"`                 // of all runs
	// Original and Replayed are the times of the last attempts, of runs that have an original.
	Original ReplayLatency `json:"original"`
	Replayed ReplayLatency `json:"replayed"`
	// Differences are the first that were met.
	Differences []ReplayDifference `json:"differences"`
}

// ReplayLatency is how long invocations took; within 5 %.
type ReplayLatency struct {
	P50 Duration `json:"p50"`
	P90 Duration `json:"p90"`
	P99 Duration `json:"p99"`
	Max Duration `json:"max"`
}

// Kinds of ReplayDifference.
const (
	ReplayDifferent    = "different"
	ReplayNewlyFailing = "newlyFailing"
	ReplayNewlyPassing = "newlyPassing"
)

// ReplayDifference is one run that came to something else than the original one.
type ReplayDifference struct {
	Kind     string         `json:"kind" enum:"different,newlyFailing,newlyPassing"`
	Event    EventRef       `json:"event"`
	Original string         `json:"original"` // run id
	Replayed string         `json:"replayed"` // run id
	Changes  []ReplayChange `json:"changes"`
	Note     string         `json:"note,omitempty"` // what could not be compared
}

// ReplayChange is a place in what two runs came to where they differ: below result, emitted[n] or error.
type ReplayChange struct {
	Path   string          `json:"path"`
	Before json.RawMessage `json:"before,omitempty"` // absent = there was nothing
	After  json.RawMessage `json:"after,omitempty"`
}
