package function

import (
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/schedule"
)

// Window is a stretch of time that comes again, in which more instances are kept.
type Window struct {
	Start    string   `json:"start"`              // when it begins: a schedule
	Timezone string   `json:"timezone,omitempty"` // of the IANA database; "" = UTC
	For      Duration `json:"for"`
	Min      int      `json:"min"`
}

// maxWindows bounds how many windows a function has.
const maxWindows = 32

func windowValue() value[Window] {
	return object([]string{"start", "for", "min"},
		field("start", "When it begins: a schedule such as \"0 8 * * 1-5\"; see docs/schedules.md.", text[string](), func(w *Window) *string { return &w.Start }),
		field("timezone", "An IANA name such as Europe/Berlin. Default: UTC.", text[string](), func(w *Window) *string { return &w.Timezone }),
		field("for", "How long it lasts.", duration(), func(w *Window) *Duration { return &w.For }),
		field("min", "Instances that are kept while it lasts.", whole(), func(w *Window) *int { return &w.Min }),
	)
}

// MinAt is how many instances are kept at a time, and until when that is so; zero = for ever. from is since when the version is there.
func (s *Scale) MinAt(from, now time.Time) (least int, until time.Time) {
	least = s.Min
	note := func(t time.Time) {
		if !t.IsZero() && (until.IsZero() || t.Before(until)) {
			until = t
		}
	}
	for _, w := range s.Schedule {
		plan, err := schedule.Parse(w.Start, w.Timezone)
		if err != nil {
			continue // a newer binary accepted it
		}
		since := from.Add(-w.For.Std()) // the window that was open when the version came counts
		note(plan.Next(since, now))
		begun := plan.Next(since, now.Add(-w.For.Std()))
		if !begun.IsZero() && !begun.After(now) {
			least = max(least, w.Min)
			note(begun.Add(w.For.Std()))
		}
	}
	return least, until
}

func defaultFreeze() Duration { return seconds(2) }

func (c *checker) scale(s *Spec) {
	between(c.at("scale.max"), s.Scale.Max, 1, 10000)
	between(c.at("scale.min"), s.Scale.Min, 0, max(1, s.Scale.Max))
	between(c.at("scale.reserved"), s.Scale.Reserved, 0, max(1, s.Scale.Max))
	between(c.at("scale.idle"), s.Scale.Idle, Duration(time.Millisecond), seconds(30*24*3600))
	between(c.at("scale.freeze"), s.Scale.Freeze, 0, seconds(30*24*3600))
	if s.Scale.Freeze > s.Scale.Idle && s.Scale.Freeze != defaultFreeze() { // nobody has written the default
		c.add("scale.freeze", "make it shorter than scale.idle, or 0 for never", "an instance is stopped after %s (scale.idle), and so never frozen after %s", s.Scale.Idle, s.Scale.Freeze)
	}
	oneOf(c, "scale.reuse", s.Scale.Reuse, reuses())
	if s.Entry.Once() && s.Scale.Reuse == ReuseIdle {
		c.add("scale.reuse", "remove it, or write never; or set entry.mode to lines", "a stdio function has one process per event and is not reused")
	}
	if s.Entry.Type == EntryHTTP {
		between(c.at("scale.target"), s.Scale.Target, 0, max(1, s.Entry.Concurrency))
	} else if s.Scale.Target > 1 {
		c.add("scale.target", "remove it, or set entry.type to http", "only an http entry takes more than one invocation at a time")
	}
	c.windows(s)
}

func (c *checker) windows(s *Spec) {
	if len(s.Scale.Schedule) > maxWindows {
		c.add("scale.schedule", fmt.Sprintf("at most %d", maxWindows), "%d windows are too many for one function", len(s.Scale.Schedule))
		return
	}
	if s.Entry.Once() && len(s.Scale.Schedule) > 0 {
		c.add("scale.schedule", "remove it", "a stdio function starts with its event: no instance can be kept for it")
		return
	}
	for i, w := range s.Scale.Schedule {
		at := fmt.Sprintf("scale.schedule[%d]", i)
		var wrong *schedule.Error
		if _, err := schedule.Parse(w.Start, w.Timezone); errors.As(err, &wrong) {
			field := at + ".start"
			if wrong.Timezone {
				field = at + ".timezone"
			}
			c.add(field, wrong.Hint, "%s", wrong.Reason)
		}
		between(c.at(at+".for"), w.For, seconds(1), seconds(7*24*3600))
		between(c.at(at+".min"), w.Min, 1, max(1, s.Scale.Max))
	}
}
