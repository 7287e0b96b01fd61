package function

import "time"

// RolloutState is where a roll-out stands.
type RolloutState string

const (
	RolloutQueued     RolloutState = "queued" // until the one before it has ended
	RolloutRunning    RolloutState = "running"
	RolloutPaused     RolloutState = "paused"     // takes no step; its gates are judged all the same
	RolloutSucceeded  RolloutState = "succeeded"  // final: the alias is the new version's
	RolloutFailed     RolloutState = "failed"     // final: a gate did not hold, and the alias is the old version's as before
	RolloutSuperseded RolloutState = "superseded" // final: somebody moved the alias elsewhere
	RolloutAborted    RolloutState = "aborted"    // final: somebody ended it or moved the alias back, which is the old version's as before
)

// RolloutStates are all that there are.
func RolloutStates() []RolloutState {
	return []RolloutState{RolloutQueued, RolloutRunning, RolloutPaused, RolloutSucceeded, RolloutFailed, RolloutSuperseded, RolloutAborted}
}

// Gate is one of the things that a new version has to hold.
type Gate string

const (
	GateStart       Gate = "start"
	GateErrors      Gate = "errors"
	GateLatency     Gate = "latency"
	GateDifferences Gate = "differences"
	GateSample      Gate = "sample" // there was too little to judge by
	GateCheck       Gate = "check"
)

// RolloutFigures are what a version did in a stretch of time, as the log tells it: requests, and attempts of runs.
type RolloutFigures struct {
	Invocations int64    `json:"invocations"`
	Errors      int64    `json:"errors"`       // of Invocations
	P95         Duration `json:"p95,omitzero"` // of those that succeeded and did not wait for a start; 0 = they are too few
}

// ErrorRate is the part of 100 of the invocations that failed.
func (f RolloutFigures) ErrorRate() Percent {
	if f.Invocations == 0 {
		return 0
	}
	return Percent(100 * float64(f.Errors) / float64(f.Invocations))
}

// RolloutFacts are what a roll-out is judged by.
type RolloutFacts struct {
	Since time.Time      `json:"since"`
	Until time.Time      `json:"until"`
	New   RolloutFigures `json:"new"`
	Old   RolloutFigures `json:"old"`
	// Before says that Old is of the time just before the roll-out, because the old version had too little to do since.
	Before bool `json:"before,omitempty"`
	// Shadow is set of a step with copies: then New are the copies, and Old the live ones that they are of.
	Shadow *ShadowFacts `json:"shadow,omitempty"`
}

// RolloutCheck is what the function gets that Gates.Check names.
type RolloutCheck struct {
	Function string        `json:"function"`
	Alias    string        `json:"alias"`
	From     int           `json:"from"`
	To       int           `json:"to"`
	Strategy Strategy      `json:"strategy"`
	Step     int           `json:"step"`            // that is over; 0 = no traffic has moved yet
	Weight   int           `json:"weight"`          // parts of 100 that the new version had in it
	Facts    *RolloutFacts `json:"facts,omitempty"` // of that step
}

// RolloutAnswer is what it answers.
type RolloutAnswer struct {
	OK     *bool  `json:"ok"`
	Reason string `json:"reason"`
}
