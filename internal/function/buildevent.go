package function

import "time"

// TopicBuilds tells of builds; the key of a record is the name of the first function that the code is for.
const TopicBuilds = "_dalamb.builds"

// Values of BuildEvent.Outcome.
const (
	BuildRunning   = "running" // in a build.started event, and in what a node keeps of a build until it has told of its end
	BuildSucceeded = "succeeded"
	BuildFailed    = "failed"
	BuildCancelled = "cancelled" // nobody wanted it any longer, or its node stopped
	BuildLost      = "lost"      // its node was killed
)

// BuildOutcomes are all of them.
func BuildOutcomes() []string {
	return []string{BuildRunning, BuildSucceeded, BuildFailed, BuildCancelled, BuildLost}
}

// BuildEvent is the data of a build.started and of a build.finished event in _dalamb.builds. One build has one of each; after a crash of its node
// the second may be there twice, with the same id.
type BuildEvent struct {
	ID        string   `json:"id"`
	Functions []string `json:"functions"` // that the code is for; full names
	Builder   string   `json:"builder"`   // the type of the build
	// Origin is of the source, as far as the node that builds knows it itself: what was pushed; nil = somebody sent it.
	Origin  *Origin   `json:"origin,omitempty"`
	Outcome string    `json:"outcome" enum:"running,succeeded,failed,cancelled,lost"`
	Started time.Time `json:"started"`

	// The rest is of a build that is over.
	Took      Duration `json:"took,omitzero"`       // of a build that is lost nobody knows it
	Source    string   `json:"source,omitempty"`    // digest of the directory; "" = it ended before that was read
	Toolchain string   `json:"toolchain,omitempty"` // as it calls itself
	Code      string   `json:"code,omitempty"`      // digest of what it made
	Image     string   `json:"image,omitempty"`     // reference by digest, in the place of Code
	Error     string   `json:"error,omitempty"`
	Hint      string   `json:"hint,omitempty"`
}
