package wire

// Forget asks for the events of a key in sealed topics to be forgotten.
type Forget struct {
	Key    string `json:"key"`
	Topic  string `json:"topic,omitempty"`  // absent = all that are sealed
	DryRun bool   `json:"dryRun,omitempty"` // only count
}

// Forgotten is what was forgotten, or would be.
type Forgotten struct {
	Topics      []ForgottenTopic `json:"topics"`
	Events      int64            `json:"events"`            // of all topics
	AtLeast     bool             `json:"atLeast,omitempty"` // they were not all counted: the topics are long
	DeadLetters int              `json:"deadLetters"`       // of those events; they are given up
	Delayed     int              `json:"delayed"`           // events that were sent with a delay and wait; they are not released
	Digest      string           `json:"digest"`            // names the key in the control log
	Again       bool             `json:"again,omitempty"`   // the key was forgotten before, as far as the control log knows; it is done once more
	// Erased says that the log's files on this machine have no key of them any more. Where it is false, the cluster's own compaction takes them.
	Erased bool `json:"erased"`
}

// ForgottenTopic is one topic with events of the key.
type ForgottenTopic struct {
	Topic  string `json:"topic"`
	Events int64  `json:"events"`
}
