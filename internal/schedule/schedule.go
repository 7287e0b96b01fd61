// Package schedule owns the planned times of schedules: cron expressions, "@every" and "at", with time zones and what happens when
// clocks change. It is pure, and makes nothing happen; source/cron does.
//
// # When clocks change
//
// As in Vixie's and ISC's cron. A schedule whose minutes and hours are both fixed (neither field begins with "*") means local
// times: one that is skipped when clocks go forward comes at the moment of the change, one that is there twice when clocks go
// back comes the first time alone. Any other goes by time as it passes: nothing in the hour that is skipped, and twice in the hour that
// is there twice. "@every" knows no clocks.
package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine may have no time zones of its own, and all nodes should agree
)

// Error says what is wrong with a schedule. Timezone is true when it is the time zone.
type Error struct {
	Timezone     bool
	Reason, Hint string
}

func (e *Error) Error() string { return e.Reason }

func wrong(hint, format string, args ...any) *Error {
	return &Error{Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// Schedule gives planned times. It never changes.
type Schedule struct {
	loc   *time.Location
	every time.Duration // of "@every"; 0 = it is not one
	at    time.Time     // of "at"; zero = it is not one
	cron  *cron         // of anything else
}

// leastEvery bounds "@every": each tick is an event that is kept for days.
const leastEvery = time.Second

// Parse reads a schedule. An empty time zone is UTC. The error is an *Error; a schedule whose time never comes is one.
func Parse(text, timezone string) (*Schedule, error) {
	loc, err := location(timezone)
	if err != nil {
		return nil, err
	}
	s := &Schedule{loc: loc}
	switch word, rest, _ := strings.Cut(text, " "); {
	case text == "":
		return nil, wrong(forms, "is empty")
	case word == "at":
		return s, s.parseAt(strings.TrimSpace(rest))
	case word == "@every":
		return s, s.parseEvery(strings.TrimSpace(rest))
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, wrong("write it as timezone: Europe/Berlin beside the schedule", "names a time zone")
	}
	fields, ok := descriptors()[text]
	switch {
	case text == "@reboot":
		return nil, wrong(forms, "@reboot is not known: functions outlive nodes")
	case !ok && text[0] == '@':
		return nil, wrong(forms, "%q is not known", clip(text))
	case !ok:
		fields = text
	}
	if s.cron, err = parseCron(fields); err != nil {
		return nil, err
	}
	if s.cron.next(epoch(), loc).IsZero() {
		return nil, wrong("is the day in that month, and the day of the week right?", "%q never comes", clip(text))
	}
	return s, nil
}

const forms = `"*/5 * * * *" (minute, hour, day of month, month, day of week), @hourly, @daily, @weekly, @monthly, @yearly, "@every 30s" or "at 2030-01-31T09:00:00Z"`

// epoch is where Parse looks for the first time from; any will do.
func epoch() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }

func descriptors() map[string]string {
	return map[string]string{
		"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
		"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
	}
}

func location(name string) (*time.Location, error) {
	const hint = "a name of the IANA time zone database, such as Europe/Berlin, America/New_York or UTC"
	if name == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, &Error{Timezone: true, Reason: fmt.Sprintf("%q is not a time zone", clip(name)), Hint: hint}
	}
	return loc, nil
}

func (s *Schedule) parseEvery(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return wrong(`such as "@every 30s", "@every 5m" or "@every 1h30m"`, "%q is not a duration", clip(text))
	}
	if d < leastEvery || d > 366*24*time.Hour || d%time.Millisecond != 0 {
		return wrong("from 1s to 366 days", "%v is out of range", d)
	}
	s.every = d
	return nil
}

func (s *Schedule) parseAt(text string) error {
	const hint = `such as "at 2030-01-31T09:00:00Z", or "at 2030-01-31T09:00:00" in the trigger's time zone`
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		local, localErr := time.Parse("2006-01-02T15:04:05", text)
		if localErr != nil {
			return wrong(hint, "%q is not a time", clip(text))
		}
		t = instant(s.loc, local)
	}
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return wrong(hint, "the year %d is out of range", y)
	}
	s.at = t.UTC()
	return nil
}

// Once says that there is one planned time and no more.
func (s *Schedule) Once() bool { return !s.at.IsZero() }

// Next returns the first planned time after both, in UTC; zero when there is none. from is since when the schedule is in force:
// "@every" counts from there.
func (s *Schedule) Next(from, after time.Time) time.Time {
	if after.Before(from) {
		after = from
	}
	switch {
	case s.Once():
		if s.at.After(after) {
			return s.at
		}
		return time.Time{}
	case s.every > 0:
		return from.Add((after.Sub(from)/s.every + 1) * s.every).UTC()
	}
	return s.cron.next(after, s.loc)
}

// Due is what has been planned in a span of time.
type Due struct {
	Newest []time.Time // at most as many as were asked for, rising
	Count  int         // all of them
}

// Due returns the planned times after "after" up to and with until, the newest most of them.
func (s *Schedule) Due(from, after, until time.Time, most int) Due {
	var d Due
	for t := s.Next(from, after); !t.IsZero() && !t.After(until); t = s.Next(from, t) {
		if len(d.Newest) >= 2*most { // seldom, so that it costs little for each
			d.Newest = append(d.Newest[:0], d.Newest[len(d.Newest)-most:]...)
		}
		d.Newest = append(d.Newest, t)
		d.Count++
	}
	d.Newest = d.Newest[max(0, len(d.Newest)-most):]
	return d
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
