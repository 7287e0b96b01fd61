package function

import (
	"strconv"
	"time"
)

// PlaceForms is the hint for a text that is no Place, and TimeForms that for one that is no time.
const (
	TimeForms  = "a time is 2026-01-31T15:04:05Z, 2026-01-31 (UTC), or how long ago: 90s, 15m, 6h, 2d"
	PlaceForms = "earliest and latest are the ends; " + TimeForms
)

// PlaceKind says what a Place is given by.
type PlaceKind uint8

// The kinds of places.
const (
	PlaceEarliest PlaceKind = iota // before the oldest event
	PlaceLatest                    // after the newest one
	PlaceTime                      // before the first event of that time or later
	PlaceOffset                    // the same offset in each partition that is meant
)

// Place is somewhere in a topic. Everything that names a place does it in these words: commands, the API and a trigger's start.
type Place struct {
	Kind   PlaceKind
	Offset int64     // of PlaceOffset; not negative
	Time   time.Time // of PlaceTime
}

// ParsePlace reads earliest, latest, an offset, or what ParseTime does.
func ParsePlace(text string, now time.Time) (Place, bool) {
	switch text {
	case string(StartEarliest):
		return Place{Kind: PlaceEarliest}, true
	case string(StartLatest):
		return Place{Kind: PlaceLatest}, true
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Place{Kind: PlaceOffset, Offset: n}, n >= 0
	}
	t, ok := ParseTime(text, now)
	return Place{Kind: PlaceTime, Time: t}, ok
}

// ParseMoment reads a place that is the same moment in all topics, for what is chosen by time: earliest is the zero time, latest is now.
func ParseMoment(text string, now time.Time) (time.Time, bool) {
	p, ok := ParsePlace(text, now)
	if p.Kind == PlaceLatest {
		p.Time = now
	}
	return p.Time, ok && p.Kind != PlaceOffset
}

// ParseTime reads what ParseInstant does, or how long ago it was: 15m, 2d.
func ParseTime(text string, now time.Time) (time.Time, bool) {
	if t, ok := ParseInstant(text); ok {
		return t, true
	}
	var ago Duration
	if err := ago.UnmarshalText([]byte(text)); err != nil || ago == 0 { // "0" is an offset
		return time.Time{}, false
	}
	return now.Add(-ago.Std()), true
}

// ParseInstant reads a time of RFC 3339, or a date, which is its midnight in UTC.
func ParseInstant(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
