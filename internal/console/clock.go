package console

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// clockForms is the hint for a text that is no time for the pages, which are in UTC.
const clockForms = "14:05 is the last one, in UTC; " + function.TimeForms

// timeOf reads what function.ParseTime does, or a time of the day.
func timeOf(text string, now time.Time) (time.Time, bool) {
	if at, ok := clock(text, now); ok {
		return at, true
	}
	return function.ParseTime(text, now)
}

// clock reads a time of the day: the last one of it, in UTC.
func clock(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{"15:04", time.TimeOnly} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		y, m, d := now.UTC().Date()
		at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
		if at.After(now) {
			at = at.AddDate(0, 0, -1)
		}
		return at, true
	}
	return time.Time{}, false
}

// unclocked is a text with a time as the API takes it, which knows no times of the day.
func unclocked(text string, now time.Time) string {
	if at, ok := clock(text, now); ok {
		return at.Format(time.RFC3339)
	}
	return text
}
