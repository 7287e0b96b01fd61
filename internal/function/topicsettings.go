package function

import (
	"regexp"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Forever as a topic's retention or size says that there is no bound.
const Forever = "forever"

// Bounds of a topic of the users'.
const (
	MaxPartitions = 1024           // every partition costs memory on every node
	minTopicBytes = Bytes(1 << 20) // with less, an event could be gone before any trigger has seen it
)

// validTopicName is as Kafka's, so that a topic can move there.
var validTopicName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,248}$`)

// CheckTopicName says why users cannot have a topic of that name.
func CheckTopicName(name string) error {
	if SystemTopic(name) {
		return fault.New(fault.Denied, "name: %q is no name for a topic of yours", clip(name)).WithHint("names that begin with _ are reserved")
	}
	if !validTopicName.MatchString(name) {
		return fault.New(fault.Invalid, "name: %q is not the name of a topic", clip(name)).
			WithHint("letters, digits, dots, dashes and underscores, a letter or digit first, at most 249")
	}
	return nil
}

// CheckPartitions says why a topic cannot have so many partitions.
func CheckPartitions(n int) error {
	if n < 1 || n > MaxPartitions {
		return fault.New(fault.Invalid, "partitions: %d is not a number from 1 to %d", n, MaxPartitions)
	}
	return nil
}

// ParseRetention reads how long a topic keeps events.
func ParseRetention(text string) (d Duration, forever bool, err error) {
	if text == Forever {
		return 0, true, nil
	}
	if err := d.UnmarshalText([]byte(text)); err != nil || d < Duration(time.Second) {
		return 0, false, fault.New(fault.Invalid, "retention: %q is neither a duration of a second or more (12h, 30d) nor %s", clip(text), Forever)
	}
	return d, false, nil
}

// ParseTopicSize reads how much a topic keeps.
func ParseTopicSize(text string) (b Bytes, forever bool, err error) {
	if text == Forever {
		return 0, true, nil
	}
	if err := b.UnmarshalText([]byte(text)); err != nil {
		return 0, false, fault.New(fault.Invalid, "maxBytes: %q is neither a size (512Mi, 10Gi) nor %s", clip(text), Forever)
	}
	if b < minTopicBytes {
		return 0, false, fault.New(fault.Invalid, "maxBytes: %q is less than %v", clip(text), minTopicBytes).WithHint("a topic keeps at least so much, the size of one large event")
	}
	return b, false, nil
}
