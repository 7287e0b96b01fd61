package delay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// The first byte of a value.
const (
	formatHeld   = 1 // a held event follows
	formatCancel = 2 // nothing follows: the owner is asked to cancel the event
)

// headerCancelled is on the tombstone of an event that was cancelled, and not released.
const headerCancelled = "dalamb-cancelled"

// headerForgotten is on that of an event whose data was forgotten before it was due.
const headerForgotten = "dalamb-forgotten"

// held is an event that waits.
type held struct {
	Topic    string       `json:"topic"`
	Accepted time.Time    `json:"accepted"`
	Event    *event.Event `json:"event"`
}

func (h held) encode() ([]byte, error) {
	b, err := eventlog.EncodeTagged(formatHeld, h)
	if err != nil {
		return nil, fmt.Errorf("encode a delayed event: %w", err)
	}
	return b, nil
}

func decodeHeld(value []byte) (h held, err error) {
	if err := eventlog.DecodeTagged(value, formatHeld, &h); err != nil {
		return h, err
	}
	if h.Topic == "" || function.SystemTopic(h.Topic) || h.Event == nil {
		return h, errors.New("it has no topic or no event")
	}
	return h, nil
}

// nameOf names a delayed event: where it stands, when it is due, and a random number.
type nameOf struct {
	partition int32
	due       int64 // Unix milliseconds
	random    uint64
}

// String is the name that people see: dPARTITION-DUE-RANDOM, the last two in hexadecimal.
func (n nameOf) String() string { return fmt.Sprintf("d%d-%x-%016x", n.partition, n.due, n.random) }

const keyPrefix = "e/"

func (n nameOf) key() []byte { return []byte(keyPrefix + n.String()) }

func (n nameOf) tombstone() eventlog.Record {
	return eventlog.Record{Topic: function.TopicDelayed, Partition: n.partition, Key: n.key()}
}

// parseName reads what String writes, and nothing else.
func parseName(s string) (n nameOf, ok bool) {
	parts := strings.Split(strings.TrimPrefix(s, "d"), "-")
	if len(parts) != 3 {
		return n, false
	}
	partition, err1 := strconv.ParseInt(parts[0], 10, 32)
	due, err2 := strconv.ParseInt(parts[1], 16, 64)
	random, err3 := strconv.ParseUint(parts[2], 16, 64)
	n = nameOf{int32(partition), due, random}
	return n, errors.Join(err1, err2, err3) == nil && partition >= 0 && due >= 0 && n.String() == s
}

// nameIn reads the key of a record; ok is false for those that are not this room's.
func nameIn(key []byte) (n nameOf, ok bool) {
	s, ok := strings.CutPrefix(string(key), keyPrefix)
	if !ok {
		return n, false
	}
	return parseName(s)
}
