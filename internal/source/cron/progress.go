package cron

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// progressFormat is the first byte of a progress record.
const progressFormat = 1

// progress is how far a schedule is: the value of c/TOPICID/PARTITION/PLAN in _dalamb.progress, where topic and partition are those of
// _dalamb.jobs.
type progress struct {
	Planned time.Time `json:"planned"`         // the newest planned time that has been dealt with
	Ticked  time.Time `json:"ticked,omitzero"` // the newest planned time of which a tick was made
	Missed  int       `json:"missed,omitempty"`
}

func (p progress) encode() ([]byte, error) {
	b, err := eventlog.EncodeTagged(progressFormat, p)
	if err != nil {
		return nil, fmt.Errorf("encode the progress of a schedule: %w", err)
	}
	return b, nil
}

func decodeProgress(value []byte) (p progress, err error) {
	if err := eventlog.DecodeTagged(value, progressFormat, &p); err != nil {
		return p, err
	}
	if p.Planned.IsZero() || p.Missed < 0 || p.Ticked.After(p.Planned) {
		return p, errors.New("out of range")
	}
	return p, nil
}

type keys struct {
	partition int32
	prefix    string
}

func keysOf(topicID string, partition int32) keys {
	return keys{partition, "c/" + topicID + "/" + strconv.Itoa(int(partition)) + "/"}
}

// record makes a plan's record; a nil value takes it away.
func (k keys) record(plan int64, value []byte) eventlog.Record {
	return eventlog.Record{
		Topic: function.TopicProgress, Partition: k.partition, Key: []byte(k.prefix + strconv.FormatInt(plan, 10)), Value: value,
	}
}

// recall reads how far the schedules of one partition are. Progress that cannot be understood is an error: to begin anew could make
// ticks again.
func recall(ctx context.Context, log eventlog.Log, k keys) (map[int64]progress, error) {
	place := eventlog.Partition{Topic: function.TopicProgress, ID: k.partition}
	known := map[int64]progress{}
	_, err := eventlog.ReadAll(ctx, log, place, func(r *eventlog.Record) error {
		if err := fold(known, k, r); err != nil {
			return fault.New(fault.Internal, "progress record %s: %w", r.Key, err).
				WithHint("it was written by a newer dalamb, or it is damaged; these schedules wait until it can be read")
		}
		return nil
	})
	return known, err
}

func fold(known map[int64]progress, k keys, r *eventlog.Record) error {
	text, mine := strings.CutPrefix(string(r.Key), k.prefix)
	if !mine {
		return nil
	}
	plan, err := strconv.ParseInt(text, 10, 64)
	if err != nil || plan < 0 {
		return fmt.Errorf("%q is not a number", text)
	}
	if r.Value == nil {
		delete(known, plan)
		return nil
	}
	p, err := decodeProgress(r.Value)
	if err != nil {
		return err
	}
	known[plan] = p
	return nil
}
