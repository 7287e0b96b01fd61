package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Changes that are made together have an event each, all of which one append stores. No event of them counts before the last one is there:
// then all are accepted, when what each of them expects is so, or none is. What others wrote in between decides like what they wrote before: on
// Kafka an append that one batch does not hold can have others' records in it. When one of them cannot be read, or is missing, none counts.

// together says which part of several changes an event is.
type together struct {
	ID    string `json:"id"`
	Part  int    `json:"part"` // counts from 1
	Parts int    `json:"parts"`
}

// Refused says which of several changes was refused, and why.
type Refused struct {
	Index int
	Err   error
}

func (e *Refused) Error() string { return e.Err.Error() }

func (e *Refused) Unwrap() error { return e.Err }

// eventsOf makes the events of changes, of which each is about an entity of its own.
func eventsOf(ctx context.Context, changes []Change, at scene) ([]*event.Event, error) {
	var events []*event.Event
	by := access.From(ctx)
	if err := at.view.allows(changes); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, ch := range changes {
		e, err := ch.event(ctx, at)
		if err == nil && seen[e.Subject] {
			err = fault.New(fault.Invalid, "%s would change twice at the same time", entityName(e.Subject))
		}
		if err == nil {
			err = permit(by, e.Subject)
		}
		if err != nil {
			return nil, &Refused{i, err}
		}
		seen[e.Subject] = true
		e.Time = at.now
		sign(e, by)
		events = append(events, e)
	}
	if len(events) == 1 {
		return events, nil
	}
	id := event.NewID()
	for i, e := range events {
		if err := mark(e, together{ID: id, Part: i + 1, Parts: len(events)}); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// mark makes an event a part of several.
func mark(e *event.Event, t together) error {
	var p payload
	err := json.Unmarshal(e.Data, &p)
	if err == nil {
		p.Together = &t
		e.Data, err = json.Marshal(p)
	}
	if err != nil {
		return fmt.Errorf("make %s a part of several: %w", e.Type, err)
	}
	return nil
}

// rejection is a control event that was not accepted.
type rejection struct {
	offset int64
	own    bool // what it expects itself was not so, or parts are missing; else it is one of several, and another's was not so
}

// part is a control event, read.
type part struct {
	record  eventlog.Record
	typ     string
	payload payload
	by      *function.Identity // who caused it; nil = not known
}

// take folds a record, or keeps it until the other parts are there. The fold goes on whatever it is: a newer binary may write what this one
// cannot read, and to stop there would take the node down with it.
func (s *state) take(r eventlog.Record, logger *slog.Logger) (lost []rejection) {
	one, err := readPart(r)
	if err != nil {
		logger.Error("control event not understood", "offset", r.Offset, "err", err)
		return append(s.breakOff(r), rejection{r.Offset, true})
	}
	parts := []part{one}
	if t := one.payload.Together; t != nil {
		if !t.follows(s.parts[t.ID]) {
			logger.Error("control event is a part of several without those before", "offset", r.Offset)
			return append(s.drop(t.ID), rejection{r.Offset, true})
		}
		parts = append(s.parts[t.ID], one)
		if t.Part < t.Parts {
			s.parts[t.ID] = parts
			return nil
		}
		delete(s.parts, t.ID)
	}
	all := true
	for _, p := range parts {
		own := !s.expected(&p.payload)
		all = all && !own
		lost = append(lost, rejection{p.record.Offset, own})
	}
	if !all {
		return lost
	}
	lost = nil
	for _, p := range parts {
		accepted, err := s.fold(p)
		if err != nil {
			logger.Error("control event not understood", "offset", p.record.Offset, "err", err)
		}
		if !accepted {
			lost = append(lost, rejection{p.record.Offset, true})
		}
	}
	return lost
}

// follows says whether a part is the next after those that are there: the records of one append stand in their order.
func (t *together) follows(before []part) bool {
	return t.Part == len(before)+1 && t.Part <= t.Parts && (len(before) == 0 || before[0].payload.Together.Parts == t.Parts)
}

// breakOff gives up what a record that cannot be read is a part of, as it can never be whole. Where not even that can be read it is
// all that lacks a part.
func (s *state) breakOff(r eventlog.Record) (lost []rejection) {
	var of struct {
		Together *together `json:"together"`
	}
	e, err := eventlog.ToEvent(r)
	if err == nil {
		err = json.Unmarshal(e.Data, &of)
	}
	switch {
	case err != nil:
		for _, id := range slices.Sorted(maps.Keys(s.parts)) {
			lost = append(lost, s.drop(id)...)
		}
	case of.Together != nil:
		lost = s.drop(of.Together.ID)
	}
	return lost
}

// drop forgets the parts that are there of changes that are made together.
func (s *state) drop(id string) (lost []rejection) {
	for _, p := range s.parts[id] {
		lost = append(lost, rejection{p.record.Offset, true})
	}
	delete(s.parts, id)
	return lost
}

func readPart(r eventlog.Record) (part, error) {
	e, err := eventlog.ToEvent(r)
	if err != nil {
		return part{}, err
	}
	p := part{record: r, typ: e.Type, by: causer(e)}
	if err := json.Unmarshal(e.Data, &p.payload); err != nil {
		return p, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return p, nil
}

// expected says whether nobody has changed what an event is about since it was written.
func (s *state) expected(p *payload) bool {
	last, seen := s.last[p.Function]
	if !seen {
		last = -1
	}
	return p.Expects == last
}

// SubmitAll appends changes, each of an entity of its own, by one append, and returns the view in which all are folded: all of them are made, or
// none is. Which one was refused, and why, is a *Refused.
func (c *Catalog) SubmitAll(ctx context.Context, changes []Change) (*View, error) {
	if len(changes) == 0 {
		return c.View(), nil
	}
	c.mu.Lock()
	c.waiting++
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			clear(c.rejected)
		}
	}()

	events, err := eventsOf(ctx, changes, scene{log: c.log, view: c.View(), now: c.now()})
	if err != nil {
		return nil, err
	}
	var records []eventlog.Record
	for _, e := range events {
		r := eventlog.FromEvent(control.Topic, e)
		r.Partition = control.ID
		records = append(records, r)
	}
	positions, err := c.log.Append(ctx, records)
	if err != nil {
		return nil, fmt.Errorf("append %s: %w", events[0].Type, err)
	}
	if err := c.Wait(ctx, positions[len(positions)-1].Offset); err != nil {
		return nil, err
	}
	return c.verdict(events, positions)
}

// verdict is what the fold made of events that it has passed.
func (c *Catalog) verdict(events []*event.Event, at []eventlog.Position) (*View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range at {
		if c.rejected[p.Offset] {
			return nil, &Refused{i, changedMeanwhile(events[i].Subject)}
		}
	}
	return c.View(), nil
}

// Submit appends a change and returns the view in which it is folded. NotFound or Invalid when the change does not fit the
// newest view, Conflict when another writer changed the same function in between; then nothing has changed.
func (c *Catalog) Submit(ctx context.Context, ch Change) (*View, error) {
	v, err := c.SubmitAll(ctx, []Change{ch})
	if refused, ok := errors.AsType[*Refused](err); ok {
		return nil, refused.Err
	}
	return v, err
}
