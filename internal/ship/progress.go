package ship

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// progressFormat is the first byte of a progress record.
const progressFormat = 1

// progress is how far a sink is in a partition of _dalamb.logs: the value of sink/TOPICID/PARTITION/NAME in _dalamb.progress, in the partition of that number.
// It is not a consumer group's position, which Kafka forgets when no node runs for a week (offsets.retention.minutes).
type progress struct {
	Next int64 `json:"next"` // the offset that is wanted next
}

// keys are those of one partition's sinks.
type keys struct {
	partition int32
	prefix    string
}

func keysOf(topicID string, partition int32) keys {
	return keys{partition, "sink/" + topicID + "/" + strconv.Itoa(int(partition)) + "/"}
}

// record says how far a sink is.
func (k keys) record(sink string, next int64) (eventlog.Record, error) {
	value, err := eventlog.EncodeTagged(progressFormat, progress{next})
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("encode the position of sink %s: %w", sink, err)
	}
	return eventlog.Record{Topic: function.TopicProgress, Partition: k.partition, Key: []byte(k.prefix + sink), Value: value}, nil
}

// position is what the log knows of how far a sink is.
type position struct {
	next int64
	bad  error // why the record cannot be understood; nil = it can
}

// recall reads how far the sinks of one partition are, by their names. A deleted position is none. That one cannot be understood is known of its sink: to begin
// at the end would leave lines out.
func recall(ctx context.Context, log eventlog.Log, k keys) (map[string]position, error) {
	known := map[string]position{}
	_, err := eventlog.ReadAll(ctx, log, eventlog.Partition{Topic: function.TopicProgress, ID: k.partition}, func(r *eventlog.Record) error {
		sink, mine := strings.CutPrefix(string(r.Key), k.prefix)
		if !mine {
			return nil
		}
		if r.Value == nil {
			delete(known, sink)
			return nil
		}
		var p progress
		err := eventlog.DecodeTagged(r.Value, progressFormat, &p)
		if err == nil && p.Next < 0 {
			err = errors.New("out of range")
		}
		if err != nil {
			err = fault.New(fault.Internal, "progress record %s: %w", r.Key, err).
				WithHint("it was written by a newer dalamb, or it is damaged; the sink gets nothing of this partition until it can be read")
		}
		known[sink] = position{p.Next, err}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the positions of sinks: %w", err)
	}
	return known, nil
}

// keysIn finds what names a partition of a topic, which may have been made anew.
func keysIn(ctx context.Context, log eventlog.Log, p eventlog.Partition) (keys, error) {
	topics, err := log.Topics(ctx)
	if err != nil {
		return keys{}, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		if t.Name == p.Topic {
			return keysOf(t.ID, p.ID), nil
		}
	}
	return keys{}, eventlog.NoTopic(p.Topic)
}
