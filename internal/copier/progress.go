package copier

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

// progress is how far one partition is: the value of TOID/FROMID/PARTITION in _dalamb.copies.
type progress struct {
	Next   int64 `json:"next"`             // the offset in the partition copied from that is wanted next
	Copied int64 `json:"copied"`           // records
	Missed int64 `json:"missed,omitempty"` // offsets that retention had taken before their turn
}

// place is where the progress of all copies to a log stands.
func place() eventlog.Partition { return eventlog.Partition{Topic: function.TopicCopies} }

// prefix is how the keys of a copy's records begin.
func prefix(c *function.Copy) string { return c.ToID + "/" + c.FromID + "/" }

func (p progress) record(c *function.Copy, partition int32) (eventlog.Record, error) {
	b, err := eventlog.EncodeTagged(progressFormat, p)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("encode the progress of a copy: %w", err)
	}
	at := place()
	return eventlog.Record{
		Topic: at.Topic, Partition: at.ID, Key: []byte(prefix(c) + strconv.Itoa(int(partition))), Value: b,
	}, nil
}

func decodeProgress(value []byte) (p progress, err error) {
	if err := eventlog.DecodeTagged(value, progressFormat, &p); err != nil {
		return p, err
	}
	if p.Next < 0 || p.Copied < 0 || p.Missed < 0 || p.Copied > p.Next || p.Missed > p.Next {
		return p, errors.New("out of range")
	}
	return p, nil
}

// recall reads how far the partitions of a copy are. Progress that cannot be understood is an error: to begin anew would copy again.
func recall(ctx context.Context, log eventlog.Log, c *function.Copy) (map[int32]progress, error) {
	at := place()
	known := map[int32]progress{}
	_, err := eventlog.ReadAll(ctx, log, at, func(r *eventlog.Record) error {
		if err := foldProgress(known, c, r); err != nil {
			return fault.New(fault.Internal, "record %s of %s: %w", r.Key, at.Topic, err).
				WithHint("it was written by a newer dalamb, or it is damaged")
		}
		return nil
	})
	return known, err
}

func foldProgress(known map[int32]progress, c *function.Copy, r *eventlog.Record) error {
	text, mine := strings.CutPrefix(string(r.Key), prefix(c))
	if !mine {
		return nil
	}
	id, err := strconv.ParseInt(text, 10, 32)
	if err != nil || id < 0 {
		return fmt.Errorf("%q is not the number of a partition", text)
	}
	p, err := decodeProgress(r.Value)
	if err != nil {
		return err
	}
	known[int32(id)] = p
	return nil
}
