package wire

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Past is the platform as it was at a time.
type Past struct {
	At        time.Time      `json:"at"`
	Control   int64          `json:"control"` // offset of the control topic up to which it was folded
	Functions []PastFunction `json:"functions"`
	Config    []string       `json:"config"`  // names
	Secrets   []string       `json:"secrets"` // names
}

// PastFunction is a function as it was.
type PastFunction struct {
	Name     string           `json:"name"`
	Versions []int            `json:"versions"`
	Aliases  []function.Alias `json:"aliases"`
	Rollout  string           `json:"rollout,omitempty"` // that was under way, in words
	Triggers []PastTrigger    `json:"triggers"`          // of the version that live pointed at, without the one of asynchronous calls
}

// PastTrigger is a trigger as it was.
type PastTrigger struct {
	Name       string          `json:"name"`
	Topic      string          `json:"topic,omitempty"`
	Filter     json.RawMessage `json:"filter,omitempty"`
	Route      string          `json:"route,omitempty"` // method and path
	Schedule   string          `json:"schedule,omitempty"`
	Paused     bool            `json:"paused,omitempty"`
	PausedKeys []string        `json:"pausedKeys,omitempty"`
}

// ChangeList are changes of the platform, the oldest first.
type ChangeList struct {
	Changes []Change `json:"changes"`
	Older   bool     `json:"older,omitempty"` // there are more, before the first
}

// Change is one change of the platform.
type Change struct {
	Time    time.Time          `json:"time"`
	Control int64              `json:"control"` // offset in the control topic
	Type    string             `json:"type"`    // of the control event
	Kind    string             `json:"kind"`    // what was changed: function, secret, config, topic, token, hook, copy
	Name    string             `json:"name"`
	What    string             `json:"what"`
	Origin  *function.Origin   `json:"origin,omitempty"` // of a deploy, where that is known
	By      *function.Identity `json:"by,omitempty"`     // who made the change; absent = not known
}
