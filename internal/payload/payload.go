// Package payload owns the forms in which functions get events other than one structured or binary CloudEvent: batches, and the
// shapes of AWS Lambda's event sources; and what an answer says about the events of a batch. It does not call functions.
package payload

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// Item is one event on its way to a function.
type Item struct {
	Event    *event.Event
	Ref      function.EventRef // where it stands in the log
	Appended time.Time         // when the log took it
	Run      string
	Attempt  int  // counts from 1
	Ordered  bool // events of its key come one after another
}

// Form says how events are given.
type Form struct {
	Payload function.Payload
	Batch   bool   // an array, also of one event
	Rule    string // ARN of the rule that the events come by, with PayloadEventBridge; "" = none
}

// FormOf is the form that a trigger asks for.
func FormOf(t *function.Trigger) Form {
	return Form{Payload: t.Payload, Batch: t.Batch != nil, Rule: t.Rule}
}

// Plain says that each event is given by itself, as the entry does it.
func (f Form) Plain() bool { return !f.Batch && f.Payload == "" }

// Encode gives the payload of an invocation with these events, of which there is at least one, and its media type. The events must
// be valid.
func (f Form) Encode(items []Item) (body []byte, mediaType string, err error) {
	switch f.Payload {
	case "":
		return encodeEvents(items), event.ContentTypeBatch, nil
	case function.PayloadKafka:
		body, err = json.Marshal(kafkaEventOf(items))
	case function.PayloadSQS:
		body, err = json.Marshal(sqsEventOf(items))
	case function.PayloadEventBridge:
		all := make([]bridgeEvent, len(items))
		for i := range items {
			all[i] = f.bridgeEvent(&items[i])
		}
		if f.Batch {
			body, err = json.Marshal(all)
		} else {
			body, err = json.Marshal(all[0])
		}
	default:
		err = fmt.Errorf("payload %q is not known", f.Payload)
	}
	if err != nil {
		return nil, "", fmt.Errorf("encode %d events: %w", len(items), err)
	}
	return body, "application/json", nil
}

// encodeEvents gives CloudEvents' JSON batch format.
func encodeEvents(items []Item) []byte {
	size := 2
	for i := range items {
		size += 400 + len(items[i].Event.Data)
	}
	b := append(make([]byte, 0, size), '[')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = items[i].Event.AppendJSON(b)
	}
	return append(b, ']')
}
