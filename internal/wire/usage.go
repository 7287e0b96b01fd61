package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// UsageList is the answer to GET /v1/usage: what functions used, by the hour, oldest first.
type UsageList struct {
	Usage   []function.Usage `json:"usage"`
	Lacking []time.Time      `json:"lacking,omitempty"` // hours of which the log may have let go of records before they were counted
}
