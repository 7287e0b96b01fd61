package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// walk is what Next has to agree with: it looks at every minute that passes, one after another.
func walk(c *cron, loc *time.Location, after, until time.Time) []time.Time {
	var times []time.Time
	matches := func(wall time.Time) bool {
		return c.day(wall) && c.hours&(1<<wall.Hour()) != 0 && c.minutes&(1<<wall.Minute()) != 0
	}
	wallAt := func(t time.Time) time.Time {
		l := t.In(loc)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
	}
	t := after.Truncate(time.Minute).Add(-27 * time.Hour)
	shown := wallAt(t) // the furthest that the clock has shown
	for t = t.Add(time.Minute); !t.After(until); t = t.Add(time.Minute) {
		wall, hit := wallAt(t), false
		switch {
		case c.passing:
			hit = matches(wall)
		default:
			for w := shown.Add(time.Minute); !w.After(wall); w = w.Add(time.Minute) {
				hit = hit || matches(w)
			}
		}
		if wall.After(shown) {
			shown = wall
		}
		if hit && t.After(after) {
			times = append(times, t)
		}
	}
	return times
}

func expression(t *rapid.T) string {
	text := ""
	for _, f := range fields() {
		value := func(name string) int { return rapid.IntRange(f.low, f.high).Draw(t, f.name+" "+name) }
		part := "*"
		switch rapid.SampledFrom([]string{"star", "star", "step", "value", "range", "list"}).Draw(t, f.name) {
		case "step":
			part = fmt.Sprintf("*/%d", rapid.IntRange(1, f.high).Draw(t, "step"))
		case "value":
			part = fmt.Sprint(value("value"))
		case "range":
			a, b := value("from"), value("to")
			part = fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		case "list":
			part = fmt.Sprintf("%d,%d", value("one"), value("other"))
		}
		text += part + " "
	}
	return text[:len(text)-1]
}

func TestNextAgreesWithAWalkOverTheMinutes(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Asia/Kathmandu", "America/Havana", "Africa/Casablanca", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		text := expression(t)
		s, err := Parse(text, rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			if !strings.HasSuffix(err.Error(), "never comes") {
				t.Fatalf("Parse(%q) = %v", text, err)
			}
			t.Skip(err)
		}
		after := time.Unix(rapid.Int64Range(1_500_000_000, 1_900_000_000).Draw(t, "after"), 0)
		// Half of the time near a change of the clocks.
		if _, change := after.In(s.loc).ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(t, "near a change") {
			after = change.Add(-time.Duration(rapid.IntRange(0, 36*60).Draw(t, "before it")) * time.Minute)
		}
		until := after.Add(4 * 24 * time.Hour)
		want := walk(s.cron, s.loc, after, until)
		last := after
		for i := 0; ; i++ {
			got := s.Next(after, last)
			if got.IsZero() || got.After(until) {
				if i < len(want) {
					t.Fatalf("%q: time %d after %s = %s, want %s", text, i, after.In(s.loc), got, want[i])
				}
				return
			}
			if i >= len(want) || !got.Equal(want[i]) {
				t.Fatalf("%q: time %d after %s = %s, want %v", text, i, after.In(s.loc), got, want[min(i, len(want)):min(i+1, len(want))])
			}
			last = got
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*/5 * * * *", "0 0 29 2 *", "1-5,7/2 ? * jan-dec sun", "@every 1h30m", "@daily", "at 2030-01-31T09:00:00Z", "at 2030-01-31T09:00:00", "0 0 30 2 *", "TZ=UTC x", "* * * * * *"} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Add("@hourly", "No/Where")
	f.Fuzz(func(t *testing.T, text, zone string) {
		s, err := Parse(text, zone)
		if err != nil {
			return
		}
		from := epoch()
		last := from
		for range 5 {
			next := s.Next(from, last)
			if next.IsZero() {
				if !s.Once() {
					t.Fatalf("%q in %q: nothing after %s", text, zone, last)
				}
				return
			}
			if !next.After(last) {
				t.Fatalf("%q in %q: %s is not after %s", text, zone, next, last)
			}
			last = next
		}
	})
}
