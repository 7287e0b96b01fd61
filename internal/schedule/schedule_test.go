package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func parsed(t *testing.T, text, zone string) *Schedule {
	t.Helper()
	s, err := Parse(text, zone)
	if err != nil {
		t.Fatalf("Parse(%q, %q) = %v", text, zone, err)
	}
	return s
}

func TestNextTimes(t *testing.T) {
	const berlin, newYork, lordHowe, beirut = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"
	for _, c := range []struct{ name, text, zone, after, want string }{
		{"every five minutes", "*/5 * * * *", "", "2026-03-01T10:02:30Z", "2026-03-01T10:05:00Z 2026-03-01T10:10:00Z"},
		{"not the same time again", "0 9 * * *", "", "2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z"},
		{"hourly", "@hourly", "", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z 2027-01-01T01:00:00Z"},
		{"daily in a time zone", "@daily", berlin, "2026-06-01T12:00:00Z", "2026-06-01T22:00:00Z"},
		{"names", "30 8 * jan,Jul mon-FRI", "", "2026-01-30T09:00:00Z", "2026-07-01T08:30:00Z"},
		{"seven is Sunday", "0 0 * * 7", "", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		{"either day", "0 0 13 * 5", "", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z"},
		{"step from a value", "10/20 3 * * *", "", "2026-01-01T00:00:00Z", "2026-01-01T03:10:00Z 2026-01-01T03:30:00Z 2026-01-01T03:50:00Z 2026-01-02T03:10:00Z"},
		{"a leap day", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"a leap day on one of the week's", "0 0 29 2 */7", "", "2088-03-01T00:00:00Z", "2128-02-29T00:00:00Z"},
		{"every, counted from when it came to be", "@every 7m", "", "2026-01-01T00:00:00Z", "2026-01-01T00:07:00Z 2026-01-01T00:14:00Z"},
		{"at", "at 2030-01-31T09:00:00+01:00", "", "2026-01-01T00:00:00Z", "2030-01-31T08:00:00Z -"},
		{"at, local", "at 2030-07-31T09:00:00", berlin, "2026-01-01T00:00:00Z", "2030-07-31T07:00:00Z -"},

		{"skipped: at the change", "30 2 * * *", newYork, "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z 2026-03-09T06:30:00Z"},
		{"skipped twice: once", "0,30 2 * * *", newYork, "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z 2026-03-09T06:00:00Z"},
		{"twice: the first alone", "30 1 * * *", newYork, "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z 2026-11-02T06:30:00Z"},
		{"passing: nothing in what is skipped", "*/30 2 * * *", newYork, "2026-03-07T12:00:00Z", "2026-03-09T06:00:00Z"},
		{"passing: twice", "30 * * * *", newYork, "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z 2026-11-01T06:30:00Z 2026-11-01T07:30:00Z"},
		{"half an hour skipped", "15 2 * * *", lordHowe, "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z 2026-10-04T15:15:00Z"},
		{"the last day of a leap year", "*/30 * * * *", berlin, "2040-12-31T22:40:00Z", "2040-12-31T23:00:00Z 2040-12-31T23:30:00Z"},
		{"the last day of a leap year, local", "0 12 31 12 *", newYork, "2040-12-31T16:00:00Z", "2040-12-31T17:00:00Z 2041-12-31T17:00:00Z"},
		{"midnight is skipped", "0 0 * * *", beirut, "2026-03-28T12:00:00Z", "2026-03-28T22:00:00Z 2026-03-29T21:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, from := parsed(t, c.text, c.zone), at(t, c.after)
			last := from
			for i, want := range strings.Fields(c.want) {
				got := s.Next(from, last)
				if want == "-" {
					if !got.IsZero() {
						t.Errorf("time %d = %s, want none", i, got)
					}
					continue
				}
				if last = at(t, want); !got.Equal(last) {
					t.Fatalf("time %d = %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestSchedulesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ text, zone, reason string }{
		{"", "", "is empty"},
		{"* * * *", "", `"* * * *" is not a schedule`},
		{"0 */5 * * * *", "", "has 6 fields"},
		{"60 * * * *", "", `minute: "60" is not a number from 0 to 59`},
		{"* 24 * * *", "", `hour: "24"`},
		{"* * 0 * *", "", `day of month: "0"`},
		{"* * * 13 *", "", `month: "13"`},
		{"* * * * 8", "", `day of week: "8"`},
		{"* * * foo *", "", `month: "foo"`},
		{"*/0 * * * *", "", `minute: the step "0"`},
		{"*/x * * * *", "", `minute: the step "x"`},
		{"10-5 * * * *", "", `minute: "10-5" ends before it begins`},
		{"0 0 L * *", "", `day of month: "L" is not known`},
		{"0 0 * * 5#2", "", `day of week: "5#2" is not known`},
		{"-5 * * * *", "", `minute: ""`},
		{"+5 * * * *", "", `minute: "+5"`},
		{"1,,2 * * * *", "", `minute: ""`},
		{"? * * * *", "", `minute: "?"`},
		{"0 0 30 2 *", "", `"0 0 30 2 *" never comes`},
		{"0 0 31 4,6,9,11 *", "", "never comes"},
		{"@reboot", "", "@reboot is not known"},
		{"@secondly", "", `"@secondly" is not known`},
		{"@every 10", "", `"10" is not a duration`},
		{"@every 100ms", "", "100ms is out of range"},
		{"@every 9000h", "", "9000h0m0s is out of range"},
		{"at noon", "", `"noon" is not a time`},
		{"at 1815-06-18T11:00:00Z", "", "the year 1815"},
		{"CRON_TZ=UTC 0 0 * * *", "", "names a time zone"},
		{"@daily", "Berlin", `"Berlin" is not a time zone`},
		{"@daily", "Local", `"Local" is not a time zone`},
		{"@daily", "../etc/passwd", "is not a time zone"},
	} {
		_, err := Parse(c.text, c.zone)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Reason, c.reason) && !strings.Contains(e.Reason, c.reason) {
			t.Errorf("Parse(%q, %q) = %v, want %s", c.text, c.zone, err, c.reason)
		}
	}
}

func TestDueKeepsTheNewest(t *testing.T) {
	s, from := parsed(t, "@every 1s", ""), at(t, "2026-01-01T00:00:00Z")
	for _, c := range []struct {
		seconds, most, kept int
	}{{0, 5, 0}, {3, 5, 3}, {5, 5, 5}, {11, 5, 5}, {1000, 1, 1}} {
		until := from.Add(time.Duration(c.seconds) * time.Second)
		d := s.Due(from, from, until, c.most)
		if d.Count != c.seconds || len(d.Newest) != c.kept {
			t.Errorf("after %d s: %d due, %d kept, want %d and %d", c.seconds, d.Count, len(d.Newest), c.seconds, c.kept)
			continue
		}
		if c.kept > 0 && !d.Newest[c.kept-1].Equal(until) {
			t.Errorf("after %d s: the newest is %s, want %s", c.seconds, d.Newest[c.kept-1], until)
		}
	}
}
