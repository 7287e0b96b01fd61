package function

import "time"

// Copy brings the events of a topic to another topic, of the same log or of another one.
type Copy struct {
	Name   string `json:"name"` // unique in the installation
	From   string `json:"from"`
	FromID string `json:"fromID"` // a topic of the same name that is made later is another one
	To     string `json:"to"`
	ToID   string `json:"toID"`
	Log    string `json:"log,omitempty"` // address of the log that To is in; absent = the one that From is in
	Follow bool   `json:"follow"`        // go on with what is appended later
}

// TopicCopies holds, in the log that is copied to, how far each partition of each copy is. It is made by the first copy.
const TopicCopies = "_dalamb.copies"

// How a copy ended.
const (
	CopyFinished  = "finished"
	CopyCancelled = "cancelled"
	CopyFailed    = "failed" // Reason says why; the same copy started again goes on where it stopped
)

// CopyEnd is how a copy ended.
type CopyEnd struct {
	At     time.Time `json:"at,omitzero"`
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"` // of one that failed
}
