package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// CopyRequest asks for a topic to be copied.
type CopyRequest struct {
	Name   string `json:"name,omitempty"` // absent = made from the topic's name and the time
	From   string `json:"from"`
	To     string `json:"to"`            // made like From where it is not there
	Log    string `json:"log,omitempty"` // kafka://HOST:PORT... of the log that To is in; absent = the node's own
	Follow bool   `json:"follow,omitempty"`
}

// Copy is a copy of a topic and how far it is.
type Copy struct {
	function.Copy
	State   string    `json:"state" enum:"running,finished,cancelled,failed"`
	Reason  string    `json:"reason,omitempty"` // of one that failed
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Progress is absent in lists, and when the log that is copied to does not answer.
	Progress *CopyProgress `json:"progress,omitempty"`
	Problem  string        `json:"problem,omitempty"` // why there is no progress to show
}

// CopyRunning is the state of a Copy that is not over.
const CopyRunning = "running"

// CopyProgress is how far a copy is.
type CopyProgress struct {
	Copied int64 `json:"copied"` // events, by this copy and those of the same topics before it
	Missed int64 `json:"missed"` // offsets that retention had taken before their turn
	Behind int64 `json:"behind"` // offsets that are still to be copied; 0 when no event is
}

// CopyList is the answer to GET /v1/copies.
type CopyList struct {
	Copies []Copy `json:"copies"`
}

// CopyPositions asks for the positions of triggers to be stored where a topic is copied to.
type CopyPositions struct {
	Unfinished bool `json:"unfinished,omitempty"` // also of triggers that have events left; those that are finished behind the first of them run again there
}

// CopyPlaced is where triggers stand in a topic that is copied to.
type CopyPlaced struct {
	Copy     string           `json:"copy"`
	Triggers []PlacedPosition `json:"triggers"`
}

// PlacedPosition is where one trigger goes on in one partition of either topic.
type PlacedPosition struct {
	Function  string `json:"function"`
	Trigger   string `json:"trigger"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // offset in the topic that is copied
	To        int64  `json:"to"`   // offset in the topic that it is copied to
}
