package wire

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Forever as a retention or a size says that there is no bound.
const Forever = function.Forever

// TopicList is the answer to GET /v1/topics.
type TopicList struct {
	Topics []Topic `json:"topics"`
}

// Topic is a topic's settings and what it holds.
type Topic struct {
	Name       string      `json:"name"`
	ID         string      `json:"id"`
	Partitions int32       `json:"partitions"`
	Retention  string      `json:"retention"` // a duration, or forever
	MaxBytes   string      `json:"maxBytes"`  // a size, or forever
	Compact    bool        `json:"compact"`
	System     bool        `json:"system"`           // dalamb's own
	Bounds     []Partition `json:"bounds,omitempty"` // absent in lists
	// Rules are what dalamb holds the topic to, beside the log.
	Rules function.TopicRules `json:"rules,omitzero"`
	// Warnings are what a person should know of one topic; absent in lists.
	Warnings []string `json:"warnings,omitempty"`
}

// Partition is where one partition begins and ends.
type Partition struct {
	ID    int32 `json:"id"`
	Start int64 `json:"start"` // the oldest offset kept
	End   int64 `json:"end"`   // the offset of the next record
}

// TopicCreate makes a topic. What is absent gets the default.
type TopicCreate struct {
	Name       string                     `json:"name"`
	Partitions int32                      `json:"partitions,omitempty"`
	Retention  string                     `json:"retention,omitempty"`
	MaxBytes   string                     `json:"maxBytes,omitempty"`
	Compact    bool                       `json:"compact,omitempty"`
	Rules      *function.TopicRulesChange `json:"rules,omitempty"`
}

// TopicAlter changes a topic. What is absent stays.
type TopicAlter struct {
	Partitions *int32                     `json:"partitions,omitempty"`
	Retention  *string                    `json:"retention,omitempty"`
	MaxBytes   *string                    `json:"maxBytes,omitempty"`
	Rules      *function.TopicRulesChange `json:"rules,omitempty"`
}

// EventAt is an event and where it stands: one line of GET /v1/events.
type EventAt struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Time      time.Time       `json:"time"`            // when it was appended
	Event     json.RawMessage `json:"event,omitempty"` // structured CloudEvent; absent when the record is none
	Key       []byte          `json:"key,omitempty"`   // of a record that is no event
	Value     []byte          `json:"value,omitempty"` // of a record that is no event
}

// NewestEvents are events of a topic, the newest first.
type NewestEvents struct {
	Events []EventAt `json:"events"`
	Older  string    `json:"older,omitempty"` // the older of the next page; absent = there are no more
	Looked int64     `json:"looked"`          // events that were looked at for this page, or that the log ruled out by their key or type
	Whole  bool      `json:"whole"`           // all that could fit was looked at
	Since  time.Time `json:"since,omitzero"`  // of what is newer all was looked at, where that is not whole; absent = there is a partition of which nothing was
}

// Stored says where an event that was taken in stands: one item of the answer to POST /_/events on the gateway.
type Stored struct {
	ID        string `json:"id"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Duplicate bool   `json:"duplicate,omitempty"` // it was there already, by the topic's dedupe window
	// Of an event that waits until it is due; it has no partition and offset yet, and both are -1.
	Delayed   string    `json:"delayed,omitempty"` // the id by which it can be cancelled
	NotBefore time.Time `json:"notBefore,omitzero"`
}
