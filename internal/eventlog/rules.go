package eventlog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// What every engine gives to a topic that says nothing else: design.md section 7.
const (
	defaultPartitions = 8
	defaultRetention  = 30 * 24 * time.Hour
	defaultMaxBytes   = 10 << 30
)

// Bounds that every engine keeps, so that what is good on one is good on the other.
const (
	// MaxRecord is how many bytes a stored record may have on an engine that is not told otherwise: any event, and a dead
	// letter with its history.
	MaxRecord = 8 << 20
	// MaxCall is how many bytes the records of one call may have.
	MaxCall = 256 << 20

	maxPartitions = 10_000
	maxTopicName  = 249 // as in Kafka
	maxMetadata   = 4096
	maxGroupName  = 1024
)

// ErrClosed is what every method returns after Close.
var ErrClosed = fault.New(fault.Unavailable, "the event log is closed")

// NoTopic is the error for a topic that is not there.
func NoTopic(name string) error { return fault.New(fault.NotFound, "topic %q does not exist", name) }

// MissingTopic is NoTopic for a person, with what he may have meant among the topics that there are, and how to make it.
func MissingTopic(name string, topics []string) *fault.Error {
	f := fault.Missing("topic", name, topics)
	switch {
	case name == "" || strings.HasPrefix(name, "_"): // dalamb's own, which nobody else makes
		return f
	case len(fault.Nearest(name, topics)) > 0:
		return f.WithHint("%s Or make it: dalamb topic create %s", f.Hint, fault.Clip(name))
	}
	return f.WithHint("make it: dalamb topic create %s", fault.Clip(name))
}

// AnotherTopic is the error for a topic that is not the one that was meant, but has its name.
func AnotherTopic(name string) error {
	return fault.New(fault.NotFound, "topic %q was deleted and made again", name)
}

// NoPartition is the error for a partition that a topic of n partitions has not.
func NoPartition(p Partition, n int) error {
	return fault.New(fault.NotFound, "topic %s has no partition %d, it has %d", p.Topic, p.ID, n)
}

// NeedsKey is the error for record i of a call, which has no key although its topic is compacted.
func NeedsKey(i int, topic string) error {
	return fault.New(fault.Invalid, "record %d for topic %s has no key: the topic is compacted, which goes by key", i, topic)
}

// WithDefaults checks the settings of a new topic and fills in what is left out. A compacted topic keeps everything by
// default: its newest records are somebody's state, and age says nothing about them.
func (t Topic) WithDefaults() (Topic, error) {
	if err := checkTopicName(t.Name); err != nil {
		return t, err
	}
	if t.Partitions == 0 {
		t.Partitions = defaultPartitions
	}
	if t.Retention == 0 {
		t.Retention = defaultRetention
		if t.Compact {
			t.Retention = Forever
		}
	}
	if t.MaxBytes == 0 {
		t.MaxBytes = defaultMaxBytes
		if t.Compact {
			t.MaxBytes = Forever
		}
	}
	return t, t.check()
}

// Altered returns the topic's settings after a change, or why they cannot be.
func (t Topic) Altered(c TopicChange) (Topic, error) {
	if n := c.Partitions; n != nil {
		if *n < t.Partitions {
			return t, fault.New(fault.Invalid, "topic %s has %d partitions, they cannot become %d: partitions only grow", t.Name, t.Partitions, *n)
		}
		t.Partitions = *n
	}
	if d := c.Retention; d != nil {
		t.Retention = *d
	}
	if n := c.MaxBytes; n != nil {
		t.MaxBytes = *n
	}
	return t, t.check()
}

func (t Topic) check() error {
	switch {
	case t.Partitions < 1 || t.Partitions > maxPartitions:
		return fault.New(fault.Invalid, "topic %s: %d partitions, want 1 to %d", t.Name, t.Partitions, maxPartitions)
	case t.Retention <= 0 && t.Retention != Forever:
		return fault.New(fault.Invalid, "topic %s: retention %s, want more than 0, or for ever", t.Name, t.Retention)
	case t.MaxBytes <= 0 && t.MaxBytes != Forever:
		return fault.New(fault.Invalid, "topic %s: size bound %d, want more than 0, or none", t.Name, t.MaxBytes)
	}
	return nil
}

// checkTopicName holds to Kafka's rule, so that a topic's name is good on both engines.
func checkTopicName(name string) error {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
	}
	if name == "" || len(name) > maxTopicName || name == "." || name == ".." || slices.ContainsFunc([]rune(name), bad) {
		return fault.New(fault.Invalid, "topic name %q is not allowed", name).
			WithHint("use 1 to %d of a-z A-Z 0-9 . _ -", maxTopicName)
	}
	return nil
}

// CheckGroup refuses what cannot be the name of a group.
func CheckGroup(name string) error {
	if name == "" || len(name) > maxGroupName {
		return fault.New(fault.Invalid, "group name %q is not allowed: want 1 to %d bytes", name, maxGroupName)
	}
	return nil
}

// CheckOffsets refuses group positions that are wrong in themselves.
func CheckOffsets(group string, offsets []GroupOffset) error {
	if len(offsets) == 0 {
		return nil
	}
	if err := CheckGroup(group); err != nil {
		return err
	}
	for i := range offsets {
		o := &offsets[i]
		if o.Offset < 0 {
			return fault.New(fault.Invalid, "group %s: offset %d of %s/%d is negative", group, o.Offset, o.Partition.Topic, o.Partition.ID)
		}
		if len(o.Metadata) > maxMetadata {
			return fault.New(fault.Invalid, "group %s: metadata of %s/%d has %d bytes, want at most %d", group, o.Partition.Topic, o.Partition.ID, len(o.Metadata), maxMetadata)
		}
	}
	return nil
}

// SortPartitions sorts by topic, then by number.
func SortPartitions(ps []Partition) { slices.SortFunc(ps, Partition.Compare) }

// Compare orders partitions by topic, then by number.
func (p Partition) Compare(q Partition) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.ID, q.ID))
}
