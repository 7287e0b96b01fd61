package schedule

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// cron is a cron expression: which minutes, hours, days and months, a bit each.
type cron struct {
	minutes, hours, doms, months, dows uint64
	either                             bool // the day is right if the day of month or that of the week is; else both have to be
	passing                            bool // it goes by time as it passes; see the package comment
}

// horizon is how far ahead a time is looked for. The 29th of February falls on a given day of the week after 40 years at most.
const horizon = 50 * 366

type field struct {
	name      string
	low, high int
	names     string // three letters each, beginning with low
}

func fields() [5]field {
	return [5]field{
		{"minute", 0, 59, ""}, {"hour", 0, 23, ""}, {"day of month", 1, 31, ""},
		{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
		{"day of week", 0, 7, "sunmontuewedthufrisat"}, // 7 is Sunday too
	}
}

const order = "minute, hour, day of month, month, day of week"

func parseCron(text string) (*cron, error) {
	words := strings.Fields(text)
	switch n := len(words); {
	case n == 6 || n == 7:
		return nil, wrong(order+`; for less than a minute there is "@every 10s"`, "has %d fields: there is none for seconds or years", n)
	case n != 5:
		return nil, wrong(forms, "%q is not a schedule", clip(text))
	}
	c := new(cron)
	for i, into := range []*uint64{&c.minutes, &c.hours, &c.doms, &c.months, &c.dows} {
		f := fields()[i]
		set, err := f.parse(words[i])
		if err != nil {
			return nil, err
		}
		*into = set
	}
	if c.dows&(1<<7) != 0 {
		c.dows |= 1
	}
	every := func(word string) bool { return word[0] == '*' || word[0] == '?' }
	c.passing = every(words[0]) || every(words[1])
	c.either = !every(words[2]) && !every(words[4])
	return c, nil
}

// parse reads one field: a list of values, ranges and steps.
func (f field) parse(word string) (set uint64, err error) {
	for part := range strings.SplitSeq(word, ",") {
		bits, err := f.part(part)
		if err != nil {
			return 0, err
		}
		set |= bits
	}
	return set, nil
}

func (f field) part(part string) (set uint64, err error) {
	span, stepText, stepped := strings.Cut(part, "/")
	low, high, ranged := strings.Cut(span, "-")
	first, last := f.low, f.high
	switch {
	case span == "*", span == "?" && strings.HasPrefix(f.name, "day"):
	default:
		if first, err = f.value(low); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if last, err = f.value(high); err != nil {
				return 0, err
			}
		case !stepped:
			last = first
		}
	}
	step := 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.high {
			return 0, wrong("", "%s: the step %q is not a number from 1 to %d", f.name, clip(stepText), f.high)
		}
	}
	if first > last {
		return 0, wrong("write it as two ranges, with a comma", "%s: %q ends before it begins", f.name, clip(part))
	}
	for v := first; v <= last; v += step {
		set |= 1 << v
	}
	return set, nil
}

func (f field) value(text string) (int, error) {
	if i := strings.Index(f.names, strings.ToLower(text)); len(text) == 3 && i >= 0 && i%3 == 0 {
		return f.low + i/3, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrSyntax) && text != "" && strings.Trim(text, "0123456789LW#") == "":
		return 0, wrong("there is no L, W or #: let the function look at the day", "%s: %q is not known", f.name, clip(text))
	case err != nil || text[0] == '+', n < f.low || n > f.high:
		hint := ""
		if f.names != "" {
			hint = "or a name of three letters, such as " + f.names[:3]
		}
		return 0, wrong(hint, "%s: %q is not a number from %d to %d", f.name, clip(text), f.low, f.high)
	}
	return n, nil
}

// day says whether a day is right.
func (c *cron) day(t time.Time) bool {
	if c.months&(1<<int(t.Month())) == 0 {
		return false
	}
	dom, dow := c.doms&(1<<t.Day()) != 0, c.dows&(1<<int(t.Weekday())) != 0
	if c.either {
		return dom || dow
	}
	return dom && dow
}

func (c *cron) next(after time.Time, loc *time.Location) time.Time {
	if c.passing {
		return c.nextPassing(after, loc)
	}
	return c.nextLocal(after, loc)
}

// nextPassing walks through time as it passes, and looks at what the clock shows.
func (c *cron) nextPassing(after time.Time, loc *time.Location) time.Time {
	limit := after.AddDate(0, 0, horizon)
	for t := after.Truncate(time.Minute).Add(time.Minute); t.Before(limit); {
		l := t.In(loc)
		h, m, _ := l.Clock()
		var jump time.Duration
		switch {
		case !c.day(l):
			jump = 24*time.Hour - time.Duration(h)*time.Hour - time.Duration(m)*time.Minute
		case c.hours&(1<<h) == 0:
			jump = time.Hour - time.Duration(m)*time.Minute
		case c.minutes&(1<<m) == 0:
			jump = time.Duration(max(1, bits.TrailingZeros64(c.minutes>>m<<m|1<<60)-m)) * time.Minute
		default:
			return t.UTC()
		}
		next := t.Add(jump)
		// Past a change of the clocks the jump would be of the wrong length. What ends a table of changes is no whole minute.
		if _, change := bounds(l); !change.IsZero() && change.Before(next) {
			next = change.Add(time.Minute - 1).Truncate(time.Minute)
		}
		t = next
	}
	return time.Time{}
}

// nextLocal walks through the days of the calendar, and finds out when the clock shows each time.
func (c *cron) nextLocal(after time.Time, loc *time.Location) time.Time {
	limit := after.AddDate(0, 0, horizon)
	y, mo, d := after.In(loc).Date()
	// The day before too: a time that was skipped at its end comes on the next.
	for day := time.Date(y, mo, d-1, 0, 0, 0, 0, time.UTC); day.Before(limit); day = day.AddDate(0, 0, 1) {
		if !c.day(day) {
			continue
		}
		last := day.Add(time.Duration(63-bits.LeadingZeros64(c.hours))*time.Hour + time.Duration(63-bits.LeadingZeros64(c.minutes))*time.Minute)
		if !instant(loc, last).After(after) {
			continue
		}
		for h := range 24 {
			for m := range 60 {
				if c.hours&(1<<h) == 0 || c.minutes&(1<<m) == 0 {
					continue
				}
				if t := instant(loc, day.Add(time.Duration(h)*time.Hour+time.Duration(m)*time.Minute)); t.After(after) {
					return t
				}
			}
		}
	}
	return time.Time{}
}

// instant is when the clocks of a place show a time, given as if it were UTC: the first time where they do twice, and the
// moment of the change where they skip it.
func instant(loc *time.Location, wall time.Time) time.Time {
	// No clock is further from UTC than 14 hours.
	for at := wall.Add(-15 * time.Hour).In(loc); ; {
		start, end := bounds(at)
		_, offset := at.Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case !end.IsZero() && !t.Before(end):
			at = end.In(loc)
		case t.Before(start):
			return start.UTC()
		default:
			return t.UTC()
		}
	}
}

// bounds is time.Time.ZoneBounds. That one gives an end that has passed on the last day of leap years from 2040 on, for places whose
// changes follow a rule; no clocks change on that day or the next, so there it has none.
func bounds(t time.Time) (start, end time.Time) {
	start, end = t.ZoneBounds()
	if !end.After(t) {
		end = time.Time{}
	}
	return start, end
}
