package function

import "time"

// Start says where a new trigger begins: StartLatest, StartEarliest, StartGroup, or what ParseTime reads. "" is StartLatest.
type Start string

const (
	StartLatest   Start = "latest"
	StartEarliest Start = "earliest"
	StartGroup    Start = "group" // where the consumer group of the trigger's name stands; see GroupOf
)

// GroupOf is the consumer group that shows where a trigger stands.
func GroupOf(fn, trigger string) string { return "dalamb." + fn + "." + trigger }

// Time is the moment that s means at now. ok is false for latest, earliest, group and what cannot be read.
func (s Start) Time(now time.Time) (at time.Time, ok bool) {
	return ParseTime(string(s), now)
}

func (c *checker) start(field string, s Start) {
	switch s {
	case "", StartLatest, StartEarliest, StartGroup:
		return
	}
	if _, ok := s.Time(time.Time{}); !ok {
		c.add(field, "latest, earliest, group, a time such as 2026-12-01T09:00:00Z or 2026-12-01, or how long ago, such as 24h or 30d", "%q is no place to start from", clip(string(s)))
	}
}
