package wire

import (
	"encoding/json"
	"time"
)

// DelayedList is the answer to GET /v1/delayed.
type DelayedList struct {
	Delayed []Delayed `json:"delayed"`
	Total   int       `json:"total"` // those beyond the limit included
}

// Delayed is an event that waits until it is due.
type Delayed struct {
	ID       string          `json:"id"`
	Due      time.Time       `json:"due"`
	Topic    string          `json:"topic"` // where it goes then
	Accepted time.Time       `json:"accepted"`
	Event    json.RawMessage `json:"event"`
}
