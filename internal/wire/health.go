package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Health is how well a node, or a function on it, does: its grade is the worst of its measures.
type Health struct {
	Function string            `json:"function,omitempty"` // "" = the node
	Grade    string            `json:"grade" enum:"healthy,degraded,unhealthy"`
	Window   function.Duration `json:"window,omitzero"` // that the measures are of
	Measures []HealthMeasure   `json:"measures"`
}

// HealthMeasure is a rolling average, and the bounds from which on it makes a grade worse.
type HealthMeasure struct {
	Name      string  `json:"name" enum:"store,queue,errors,response"`
	Grade     string  `json:"grade" enum:"healthy,degraded,unhealthy"`
	Average   float64 `json:"average"`       // store and response in seconds, queue in calls, errors as a share of 1
	P95       float64 `json:"p95,omitempty"` // of response: 95 of 100 samples are at most so large, to about a tenth
	Samples   int     `json:"samples"`
	Degraded  float64 `json:"degraded,omitempty"` // absent: there are no bounds
	Unhealthy float64 `json:"unhealthy,omitempty"`
}

// NodeHealth is how a node and those of its functions do that were called.
type NodeHealth struct {
	Health
	Functions []Health   `json:"functions"`
	Shipping  []Shipping `json:"shipping,omitempty"` // of functions' log lines, where the configuration says so

	LagTrouble string `json:"lagTrouble,omitempty"` // why the lag of some triggers is not wholly known
}

// Shipping is how a sink does that functions' log lines are shipped to.
type Shipping struct {
	Sink    string     `json:"sink"`
	Behind  int64      `json:"behind"`            // events of the log that it has not got from this node yet
	Failing string     `json:"failing,omitempty"` // what the last try met; "" = it takes lines
	Since   *time.Time `json:"since,omitempty"`   // that it fails
}
