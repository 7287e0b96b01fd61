package function

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/dalamb/dalamb/internal/schedule"
)

// CatchUp says what becomes of planned times at which no node was there to make their ticks.
type CatchUp string

const (
	CatchUpNone CatchUp = "none" // they are left out
	CatchUpLast CatchUp = "last" // the newest of them comes late
	CatchUpAll  CatchUp = "all"  // each of them comes late, at most the newest MaxCatchUp
)

// MaxCatchUp is how many ticks that were missed come late at most.
const MaxCatchUp = 10_000

func catchUps() []CatchUp { return []CatchUp{CatchUpNone, CatchUpLast, CatchUpAll} }

// maxJitter bounds how late a tick may be made on purpose.
const maxJitter = Duration(time.Hour)

// Tick is the data of a schedule.ticked event in _dalamb.ticks, whose subject is FUNCTION/TRIGGER.
type Tick struct {
	Scheduled time.Time `json:"scheduled"` // the planned time
	Fired     time.Time `json:"fired"`     // when the tick was made
	Schedule  string    `json:"schedule"`
	Timezone  string    `json:"timezone,omitempty"`
	Missed    int       `json:"missed,omitempty"` // planned times since the tick before that were left out
}

// TickSubject is the subject of the ticks of a trigger.
func TickSubject(fn, trigger string) string { return fn + "/" + trigger }

// Listens is the topic whose events the trigger wants; "" for a route.
func (t *Trigger) Listens() string {
	if t.Schedule != "" {
		return TopicTicks
	}
	return t.Topic
}

// Ticking is the trigger with the topic and the filter that its schedule stands for; one without a schedule as it is. The ticks of all
// schedules share one topic, and the subject says whose each is: thousands of schedules are no more to scan than one.
func (t Trigger) Ticking(fn string) Trigger {
	if t.Schedule == "" {
		return t
	}
	t.Topic = TopicTicks
	t.Filter, _ = json.Marshal(map[string][]string{"subject": {TickSubject(fn, t.Name)}}) // strings alone cannot fail
	return t
}

// Plan gives the planned times of the trigger's schedule.
func (t *Trigger) Plan() (*schedule.Schedule, error) { return schedule.Parse(t.Schedule, t.Timezone) }

// scheduled checks the fields of a schedule; those of a trigger without one may not be there.
func (c *checker) scheduled(at string, t *Trigger) {
	if t.Schedule == "" {
		for name, given := range map[string]bool{"timezone": t.Timezone != "", "jitter": t.Jitter != 0, "catchUp": t.CatchUp != ""} {
			if given {
				c.add(at+"."+name, "remove it, or give the trigger a schedule", "belongs to a schedule")
			}
		}
		return
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"topic", t.Topic != ""}, {"filter", t.Filter != nil}, {"start", t.Start != ""}, {"route", t.Route != nil}} {
		if f.given {
			c.add(at+"."+f.name, "remove it, or make a second trigger", "a trigger with a schedule has none: it has the schedule's ticks")
		}
	}
	var wrong *schedule.Error
	if _, err := t.Plan(); errors.As(err, &wrong) {
		field := at + ".schedule"
		if wrong.Timezone {
			field = at + ".timezone"
		}
		c.add(field, wrong.Hint, "%s", wrong.Reason)
	}
	between(c.at(at+".jitter"), t.Jitter, 0, maxJitter)
	oneOf(c, at+".catchUp", t.CatchUp, catchUps())
	oneOf(c, at+".order", t.Order, orders())
	c.retry(at+".retry", &t.Retry)
	c.batch(at, t)
}
