package wire

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Alert is a rule about what functions do, and how it stands.
type Alert struct {
	function.Alert
	Changed time.Time           `json:"changed"`
	State   function.AlertState `json:"state" enum:"ok,firing"`
	Since   *time.Time          `json:"since,omitempty"`   // absent: it has never fired since it was made
	Shown   string              `json:"shown,omitempty"`   // the value that its measure had then
	Missing []string            `json:"missing,omitempty"` // globs that no function fits now
}

// AlertList is the answer to GET /v1/alerts.
type AlertList struct {
	Alerts []Alert `json:"alerts"`
}

// AlertDetail is the answer to GET /v1/alerts/{name}.
type AlertDetail struct {
	Alert
	History  []function.AlertChanged `json:"history"`            // the newest first
	Tellings []function.AlertTold    `json:"tellings,omitempty"` // what came of telling its webhook, the newest first
}

// AlertTested is the answer to POST /v1/alerts/{name}/test.
type AlertTested struct {
	Event   string `json:"event"`   // the id of what was told
	Webhook bool   `json:"webhook"` // one is told; what came of it is in the alert's tellings
}

// AlertSet is the answer to PUT /v1/alerts/{name}.
type AlertSet struct {
	Alert
	Unchanged bool `json:"unchanged,omitempty"` // it was so already
}
