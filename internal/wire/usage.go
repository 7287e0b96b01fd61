package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// UsageList is the answer to GET /v1/usage: what functions used.
type UsageList struct {
	Usage   []function.Usage `json:"usage"`             // by the hour, oldest first; none where sums are asked for
	Sums    []UsageSum       `json:"sums,omitempty"`    // by their names
	Lacking []time.Time      `json:"lacking,omitempty"` // hours of which the log may have let go of records before they were counted
}

// UsageSum is what a function used, or all of an environment or a day.
type UsageSum struct {
	Name string `json:"name"`
	function.Used
}

// What usage is summed up by.
const (
	UsageByFunction    = "function"
	UsageByEnvironment = "environment"
	UsageByDay         = "day" // in UTC, such as 2026-01-02
)

// UsageSums are all of these.
func UsageSums() []string { return []string{UsageByFunction, UsageByEnvironment, UsageByDay} }
