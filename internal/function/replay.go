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
	Rate       float64         `json:"rate,omitempty"` // runs a second over the whole installation; absent = no bound
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
