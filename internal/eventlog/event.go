package eventlog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
)

// FromEvent makes the record of an event, for the partition of its key. The record's time is the log's to give. The
// event must be valid; the record shares its data.
func FromEvent(topic string, e *event.Event) Record {
	key, value, headers := e.ToRecord()
	return Record{Topic: topic, Partition: AnyPartition, Key: key, Value: value, Headers: headers}
}

// ToEvent reads the event of a record, for who wrote it as one. Its error names the record.
func ToEvent(r Record) (*event.Event, error) {
	e, err := event.FromRecord(r.Key, r.Value, r.Headers)
	if err != nil {
		return nil, fmt.Errorf("read event at %s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return e, nil
}

const (
	ownTopics = "_dalamb." // how the names of dalamb's own topics begin
	// maxEvent is the largest event that any node may be set to take in; what is larger no node has written.
	maxEvent = 16<<20 + 64<<10
)

// EventOf is a record as whoever listens to its topic sees it: the CloudEvent that it holds; else, and where it claims to be one but
// is broken or larger than any node takes, an event of type event.TypeRecord that describes it. It is nil for what dalamb's own
// topics hold beside events.
func EventOf(r *Record) *event.Event {
	own := strings.HasPrefix(r.Topic, ownTopics)
	fault := ""
	if size := sizeOf(r); size <= maxEvent || own {
		e, err := event.FromRecord(r.Key, r.Value, r.Headers)
		if err == nil {
			return e
		}
		if !errors.Is(err, event.ErrNotEvent) {
			fault = err.Error()
		}
	} else {
		fault = fmt.Sprintf("the record has %d bytes; an event has at most %d", size, maxEvent)
	}
	if own {
		return nil
	}
	f := event.Foreign{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Time,
		Key: r.Key, Value: r.Value, Headers: r.Headers, Fault: fault,
	}
	return f.Event()
}

func sizeOf(r *Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	return n
}
