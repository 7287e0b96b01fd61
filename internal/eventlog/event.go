package eventlog

import (
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
)

// FromEvent makes the record of an event, for the partition of its key. The record's time is the log's to give. The
// event must be valid; the record shares its data.
func FromEvent(topic string, e *event.Event) Record {
	key, value, headers := e.ToRecord()
	return Record{Topic: topic, Partition: AnyPartition, Key: key, Value: value, Headers: headers}
}

// ToEvent reads the event of a record. Its error names the record.
func ToEvent(r Record) (*event.Event, error) {
	e, err := event.FromRecord(r.Key, r.Value, r.Headers)
	if err != nil {
		return nil, fmt.Errorf("read event at %s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return e, nil
}
