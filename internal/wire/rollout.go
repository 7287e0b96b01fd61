package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Rollout is a roll-out and how far it is.
type Rollout struct {
	function.Rollout
	ID       int64                 `json:"id"` // unique in the installation
	Function string                `json:"function"`
	Alias    string                `json:"alias"`
	From     int                   `json:"from,omitempty"` // version; absent of one that is queued
	To       int                   `json:"to"`
	State    function.RolloutState `json:"state" enum:"queued,running,paused,succeeded,failed,superseded,aborted"`
	Started  time.Time             `json:"started"`         // when it was asked for
	Began    time.Time             `json:"began,omitzero"`  // when it began, which is later for one that was queued
	Step     int                   `json:"step"`            // that it is in, counted from 1; 0 = no traffic has moved
	Weight   int                   `json:"weight"`          // what the new version gets now, in parts of 100
	Since    time.Time             `json:"since,omitzero"`  // when the step began, or went on after a pause
	Next     time.Time             `json:"next,omitzero"`   // when the step is over, unless a gate does not hold; absent unless it is running
	Taken    []RolloutStep         `json:"taken,omitempty"` // the steps so far
	Ended    time.Time             `json:"ended,omitzero"`
	Gate     function.Gate         `json:"gate,omitempty" enum:"start,errors,latency,differences,sample,check"` // that did not hold
	Reason   string                `json:"reason,omitempty"`
	By       *function.Identity    `json:"by,omitempty"`      // who asked for it
	EndedBy  *function.Identity    `json:"endedBy,omitempty"` // who ended it, which may be the node
}

// RolloutStep is a step that was taken.
type RolloutStep struct {
	At     time.Time `json:"at"`
	Weight int       `json:"weight"`
	// Facts are what it was judged by, and of the step that it is in what is known so far; absent where this node does not know it.
	Facts *function.RolloutFacts `json:"facts,omitempty"`
}

// Over says whether a roll-out has ended.
func (r *Rollout) Over() bool { return !r.Ended.IsZero() }

// RolloutList is the answer to GET /v1/rollouts.
type RolloutList struct {
	Rollouts []Rollout `json:"rollouts"`
}
