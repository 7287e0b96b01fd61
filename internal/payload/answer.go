package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// ItemFailures reads from a successful answer which events the function could not handle: AWS Lambda's batchItemFailures, for
// whatever form has identifiers. A nil slice says that all were handled, which is also what an answer without such a list means. An
// error says that the list cannot be followed, so that, as with AWS, the batch has failed as a whole.
func (f Form) ItemFailures(items []Item, answer []byte) (failed []bool, err error) {
	if f.Plain() || f.Payload == function.PayloadEventBridge && !f.Batch || !bytes.Contains(answer, []byte(`"batchItemFailures"`)) {
		return nil, nil
	}
	var said struct {
		List json.RawMessage `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &said) != nil || said.List == nil {
		return nil, nil // it says so deeper inside, if at all
	}
	var list []struct {
		ID json.RawMessage `json:"itemIdentifier"`
	}
	if err := json.Unmarshal(said.List, &list); err != nil {
		return nil, fmt.Errorf("batchItemFailures is no list of {itemIdentifier}: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	known := make(map[string][]int, len(items))
	for i := range items {
		id := f.identifier(&items[i])
		known[id] = append(known[id], i)
	}
	failed = make([]bool, len(items))
	for n, item := range list {
		id, err := f.readIdentifier(item.ID)
		if err != nil {
			return nil, fmt.Errorf("batchItemFailures[%d]: %w", n, err)
		}
		of := known[id]
		if of == nil {
			return nil, fmt.Errorf("batchItemFailures[%d]: no event of the batch is %.100q", n, id)
		}
		for _, i := range of {
			failed[i] = true
		}
	}
	return failed, nil
}

// identifier is what the function calls an event: its place for Kafka, a message's id for SQS, else the event's id. Events of
// different sources may have one id: then it means all of them.
func (f Form) identifier(it *Item) string {
	switch f.Payload {
	case function.PayloadKafka:
		return fmt.Sprintf("%s-%d", it.topicPartition(), it.Ref.Offset)
	case function.PayloadSQS:
		return it.Run
	}
	return it.Event.ID
}

// readIdentifier takes a text, or for Kafka AWS's {"partition": "topic-0", "offset": 1}.
func (f Form) readIdentifier(raw json.RawMessage) (string, error) {
	var id string
	if f.Payload == function.PayloadKafka && bytes.HasPrefix(raw, []byte("{")) {
		var place struct {
			Partition string `json:"partition"`
			Offset    *int64 `json:"offset"`
		}
		if err := json.Unmarshal(raw, &place); err != nil || place.Offset == nil {
			return "", fmt.Errorf("itemIdentifier %.100s is no {partition, offset}", raw)
		}
		return fmt.Sprintf("%s-%d", place.Partition, *place.Offset), nil
	}
	if err := json.Unmarshal(raw, &id); err != nil || strings.TrimSpace(id) == "" {
		return "", fmt.Errorf("itemIdentifier %.100q is no identifier", raw)
	}
	return id, nil
}
