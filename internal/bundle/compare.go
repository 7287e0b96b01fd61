package bundle

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/replay"
)

// maxDifferences is how many differences a report shows.
const maxDifferences = 20

// eventOf is the event that a record holds; nil = none.
func eventOf(r *eventlog.Record) *event.Event { return eventlog.EventOf(r) }

// content is what a bundle holds, by id.
type content struct {
	events map[string]*event.Event
	runs   map[string][]*function.Run // of an event, in their order
}

func contentOf(b *Bundle) *content {
	c := &content{events: map[string]*event.Event{}, runs: map[string][]*function.Run{}}
	for i := range b.Events {
		r := b.Events[i].Record()
		if e := eventOf(&r); e != nil {
			c.events[e.ID] = e
		}
	}
	for i := range b.Runs {
		if r := &b.Runs[i]; r.RedriveOf == "" { // a redrive is somebody's decision, and not what the event led to
			c.runs[r.Event.ID] = append(c.runs[r.Event.ID], r)
		}
	}
	return c
}

func (c *content) find(_ context.Context, e function.Emitted, _ time.Time) (*event.Event, error) {
	return c.events[e.ID], nil
}

// comparison walks two trees side by side.
type comparison struct {
	before, after *content
	batched       map[string]bool // FUNCTION/TRIGGER
	seen          map[string]bool // ids of events of before
	report        function.ReplayReport
	times         replay.Times
}

// Compare holds what came of source events against what is recorded of them, run by run, as a replay's report does: before and after are whole
// bundles, and pairs has for the id of each source event of before that which it has in after. What attempts took is told and not judged.
func Compare(before, after *Bundle, pairs map[string]string) (function.ReplayReport, error) {
	c := comparison{before: contentOf(before), after: contentOf(after), batched: map[string]bool{}, seen: map[string]bool{}}
	c.report.Differences = []function.ReplayDifference{}
	for i := range before.Functions {
		if v := before.Functions[i].Chosen(); v != nil {
			for _, t := range v.Spec.Triggers {
				c.batched[v.Spec.Name+"/"+t.Name] = t.Batch != nil
			}
		}
	}
	for _, id := range before.Manifest.Sources {
		if err := c.event(id, pairs[id]); err != nil {
			return c.report, err
		}
	}
	c.times.Into(&c.report)
	return c.report, nil
}

// event compares what came of an event with what came of its counterpart; "" = there is none.
func (c *comparison) event(id, other string) error {
	if c.seen[id] {
		return nil
	}
	c.seen[id] = true
	if e := c.before.events[id]; e != nil && e.Type == event.TypeRequestCompleted {
		if err := c.request(e, c.after.events[other]); err != nil {
			return err
		}
	}
	again := map[string][]*function.Run{}
	for _, r := range c.after.runs[other] {
		again[r.Function+"/"+r.Trigger] = append(again[r.Function+"/"+r.Trigger], r)
	}
	for _, r := range c.before.runs[id] {
		name := r.Function + "/" + r.Trigger
		var second *function.Run
		if rest := again[name]; len(rest) > 0 {
			second, again[name] = rest[0], rest[1:]
		}
		if err := c.run(r, second); err != nil {
			return err
		}
	}
	for _, rest := range again {
		for _, r := range rest {
			c.ran(r.State == function.RunSucceeded)
			c.report.NoOriginal++
		}
	}
	return nil
}

func (c *comparison) ran(succeeded bool) {
	c.report.Runs++
	if !succeeded {
		c.report.Failing++
	}
}

func over(r *function.Run) bool {
	return r != nil && (r.State == function.RunSucceeded || r.State == function.RunDead)
}

func (c *comparison) run(first, second *function.Run) error {
	if !over(second) {
		c.report.NotRun++
		return c.below(first.Emitted, nil)
	}
	c.ran(second.State == function.RunSucceeded)
	if !over(first) {
		c.report.NoOriginal++
		return c.below(first.Emitted, second.Emitted)
	}
	d, err := replay.Runs(context.Background(), first, second, c.batched[first.Function+"/"+first.Trigger], c.before.find, c.after.find)
	if err != nil {
		return err
	}
	c.count(d)
	c.times.Add(first, second)
	return c.below(first.Emitted, second.Emitted)
}

// below goes on with what was emitted: the events at the same place are counterparts.
func (c *comparison) below(first, second []function.Emitted) error {
	for i, e := range first {
		other := ""
		if i < len(second) {
			other = second[i].ID
		}
		if err := c.event(e.ID, other); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) count(d function.ReplayDifference) {
	switch d.Kind {
	case function.ReplayDifferent:
		c.report.Different++
	case function.ReplayNewlyFailing:
		c.report.NewlyFailing++
	case function.ReplayNewlyPassing:
		c.report.NewlyPassing++
	default:
		c.report.Same++
		return
	}
	if len(c.report.Differences) < maxDifferences {
		c.report.Differences = append(c.report.Differences, d)
	}
}

// request compares two answers to a request. One that was not asked again counts as not run.
func (c *comparison) request(before, after *event.Event) error {
	var first, second function.Request
	if err := json.Unmarshal(before.Data, &first); err != nil {
		return fault.New(fault.Invalid, "the record of request %s cannot be read: %w", fault.Clip(before.ID), err)
	}
	if after == nil || json.Unmarshal(after.Data, &second) != nil {
		c.report.NotRun++
		return c.below(first.Emitted, nil)
	}
	b := c.answer(&second, c.after)
	c.ran(!b.Failed())
	d := function.ReplayDifference{
		Event:    function.EventRef{Topic: function.TopicRequests, ID: before.ID, Type: before.Type, Subject: before.Subject},
		Original: first.ID, Replayed: second.ID,
	}
	d.Kind, d.Changes = replay.Compare(c.answer(&first, c.before), b, nil)
	c.count(d)
	return c.below(first.Emitted, second.Emitted)
}

func (c *comparison) answer(r *function.Request, in *content) replay.Answer {
	a := replay.Answer{Body: r.Answer, Size: r.AnswerSize, Asked: true, Result: &function.Result{Outcome: r.Outcome, Failure: r.Failure, Status: r.Status}}
	for _, e := range r.Emitted {
		if one := in.events[e.ID]; one != nil {
			a.Result.Events = append(a.Result.Events, one)
		}
	}
	return a
}
