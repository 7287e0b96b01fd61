package api

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one explanation.
const (
	maxRefused   = 20  // groups of triggers
	maxNamed     = 20  // triggers that a group names
	maxStoryRuns = 200 // runs of one event
)

// explainEvent tells the story of an event.
func (a *API) explainEvent(r *http.Request, q query) (any, error) {
	id := q.text("id")
	if id == "" {
		return nil, fault.New(fault.Invalid, "no id is given (query parameter \"id\")").WithHint("the id of an event, of a run of it, or TOPIC/PARTITION@OFFSET")
	}
	f, err := a.find(r.Context(), id, q.text("topic"))
	if err != nil {
		return nil, err
	}
	s := story{api: a, found: f, now: a.catalog.View()}
	return s.tell(r.Context())
}

// story is an explanation in the making.
type story struct {
	api    *API
	found  *found
	object []byte // the event's JSON
	then   *catalog.View
	now    *catalog.View
	topic  eventlog.Topic
	runs   map[TriggerRef][]function.Run
	out    wire.Explanation
}

func (s *story) tell(ctx context.Context) (*wire.Explanation, error) {
	at, _ := eventAt(s.found.record, nil)
	s.out = wire.Explanation{Event: at, Found: s.found.how, Wanted: []wire.Wanted{}}
	var err error
	if s.object, err = s.found.event.MarshalJSON(); err != nil {
		return nil, fmt.Errorf("encode event %s: %w", s.found.event.ID, err)
	}
	s.out.Event.Event = s.object // also where the record is no CloudEvent: what triggers are offered
	if s.topic, err = s.api.topic(ctx, at.Topic); err != nil {
		return nil, err
	}
	past, err := s.api.pasts.At(ctx, catalog.PastQuery{At: s.found.record.Time})
	if err != nil {
		return nil, err
	}
	s.then, s.out.Control = past.View, past.View.Offset
	if s.out.Source, err = s.api.causeOf(ctx, s.found); err != nil {
		return nil, err
	}
	if err := s.gatherRuns(); err != nil {
		return nil, err
	}
	if err := s.weigh(ctx); err != nil {
		return nil, err
	}
	s.strayRuns()
	s.compare()
	return &s.out, nil
}

// gatherRuns reads what is known of the event's runs, by trigger.
func (s *story) gatherRuns() error {
	rec := s.found.record
	page, err := s.api.history.Runs(history.Query{
		EventID: s.found.event.ID, EventAt: &function.EventRef{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}, Limit: maxStoryRuns,
	})
	if err != nil {
		return err
	}
	s.runs = map[TriggerRef][]function.Run{}
	for _, r := range slices.Backward(page.Rows) {
		r.Answer = r.Answer.Bare()
		ref := TriggerRef{r.Function, r.Trigger}
		s.runs[ref] = append(s.runs[ref], *r)
	}
	return nil
}

// weigh says of each trigger that there was on the topic whether it wanted the event, and what came of that.
func (s *story) weigh(ctx context.Context) error {
	groups := map[[2]string]*wire.Refused{}
	for _, f := range s.then.Functions() {
		for _, t := range f.Triggers {
			if t.Topic != s.topic.Name {
				continue
			}
			path, reason, wanted := s.verdict(t)
			if !wanted && len(s.runs[TriggerRef{f.Name, t.Name}]) == 0 {
				if t.Topic == function.TopicInvoke {
					continue // every function listens there, to its own calls: nobody wonders about those of others
				}
				group(groups, path, reason, f.Name+"/"+t.Name)
				continue
			}
			w := wire.Wanted{Function: f.Name, Trigger: t.Name, Version: f.Aliases[function.LiveAlias].Primary}
			if err := s.became(ctx, &w); err != nil {
				return err
			}
			s.out.Wanted = append(s.out.Wanted, w)
		}
	}
	for _, g := range groups {
		s.out.Refused = append(s.out.Refused, *g)
	}
	slices.SortFunc(s.out.Refused, func(a, b wire.Refused) int {
		return cmp.Or(cmp.Compare(a.Count, b.Count), cmp.Compare(a.Triggers[0], b.Triggers[0]))
	})
	if n := len(s.out.Refused); n > maxRefused {
		s.out.Refused, s.out.More = s.out.Refused[:maxRefused], n-maxRefused
	}
	return nil
}

// verdict says whether a trigger wants the event: it began before it, and its filter matches.
func (s *story) verdict(t *catalog.Trigger) (path, reason string, wanted bool) {
	rec := s.found.record
	switch begin := t.Begin(s.topic.ID, rec.Partition); {
	case t.Err != nil:
		return "", "its filter is one that this node cannot read", false
	case rec.Offset < begin:
		return "", fmt.Sprintf("it begins behind the event, at offset %d", begin), false
	}
	path, reason, wanted, err := t.Pattern.Explain(s.object)
	if err != nil {
		return "", err.Error(), false
	}
	return path, reason, wanted
}

func group(groups map[[2]string]*wire.Refused, path, reason, name string) {
	key := [2]string{path, reason}
	g := groups[key]
	if g == nil {
		g = &wire.Refused{Path: path, Reason: reason, Triggers: []string{}}
		groups[key] = g
	}
	if g.Count++; len(g.Triggers) < maxNamed {
		g.Triggers = append(g.Triggers, name)
	}
}

// became says what came of the event on a trigger.
func (s *story) became(ctx context.Context, w *wire.Wanted) error {
	w.Runs = s.runs[TriggerRef{w.Function, w.Trigger}]
	delete(s.runs, TriggerRef{w.Function, w.Trigger})
	if n := len(w.Runs); n > 0 {
		w.State = string(w.Runs[n-1].State)
		return nil
	}
	w.Runs = []function.Run{}
	var err error
	w.State, w.Reason, err = s.waits(ctx, w)
	return err
}

// strayRuns adds the runs of triggers that there were not when the event came, or whose topic is another: those of a trigger that began
// in the past, say.
func (s *story) strayRuns() {
	var strays []wire.Wanted
	for ref, runs := range s.runs {
		strays = append(strays, wire.Wanted{
			Function: ref.Function, Trigger: ref.Trigger, State: string(runs[len(runs)-1].State), Reason: "the trigger came to be after the event", Runs: runs,
		})
	}
	slices.SortFunc(strays, func(a, b wire.Wanted) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Trigger, b.Trigger))
	})
	s.out.Wanted = append(s.out.Wanted, strays...)
}

// compare says what would be otherwise if the event came now. Triggers alone that either knew of the event, or would want it, are told.
func (s *story) compare() {
	told := map[TriggerRef]bool{}
	add := func(f, t, text string) {
		told[TriggerRef{f, t}] = true
		s.out.Now = append(s.out.Now, wire.TriggerChange{Function: f, Trigger: t, Text: text})
	}
	for _, w := range s.out.Wanted {
		told[TriggerRef{w.Function, w.Trigger}] = true
		was, err := s.then.Trigger(w.Function, w.Trigger)
		if err != nil {
			continue // it came to be later
		}
		t, err := s.now.Trigger(w.Function, w.Trigger)
		switch {
		case err != nil || t.Topic != s.topic.Name:
			add(w.Function, w.Trigger, "is no trigger of this topic any more")
		case !bytes.Equal(was.Filter, t.Filter):
			if path, reason, wanted := s.matches(t); !wanted {
				add(w.Function, w.Trigger, fmt.Sprintf("its filter is another one now, and does not match: %s %s", path, reason))
			}
		}
	}
	for _, f := range s.now.Functions() {
		for _, t := range f.Triggers {
			if t.Topic != s.topic.Name || t.Err != nil || told[TriggerRef{f.Name, t.Name}] || len(s.out.Now) >= maxRefused {
				continue
			}
			if _, _, wanted := s.matches(t); wanted {
				add(f.Name, t.Name, "would want such an event now")
			}
		}
	}
}

// matches is the filter's part of a verdict.
func (s *story) matches(t *catalog.Trigger) (path, reason string, wanted bool) {
	if t.Err != nil {
		return "", "it cannot be read by this node", false
	}
	path, reason, wanted, err := t.Pattern.Explain(s.object)
	return path, reason, wanted && err == nil
}
