package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// grow makes the trees that an event, or a W3C trace, belongs to: from the first causes on, or from the event itself. What it was asked for is always in
// them, and so is what led to it: an event that names a cause stands below no run where nobody knows that a run emitted it, and begins a tree of its own
// then. It returns the events that nothing in the trees will make again, the oldest first.
func (t *tracer) grow(ctx context.Context, id, topic string, causes bool) (sources []*found, err error) {
	starts, err := t.starts(ctx, id, topic)
	if err != nil {
		return nil, err
	}
	var chains [][]*found
	for _, f := range starts {
		chain := []*found{f}
		if causes || len(starts) > 1 {
			if chain, err = t.climb(ctx, f); err != nil {
				return nil, err
			}
		}
		chains = append(chains, chain)
		for _, f := range chain {
			t.have[f.event.ID] = f
		}
	}
	slices.SortStableFunc(chains, func(x, y []*found) int { return x[0].record.Time.Compare(y[0].record.Time) })
	for _, chain := range chains {
		grown, err := t.root(ctx, chain[0], "")
		if err != nil {
			return nil, err
		}
		if grown {
			sources = append(sources, chain[0])
		}
	}
	for _, chain := range chains { // when all that the first causes led to is known
		for i, f := range chain[1:] {
			note := fmt.Sprintf("caused by event %s, and no run that is known emitted it", fault.Clip(f.event.Extension(event.ExtCausationID)))
			if t.full {
				if i < len(chain)-2 {
					continue
				}
				note = "its place is beyond what is shown of the tree"
			}
			grown, err := t.root(ctx, f, note)
			if err != nil {
				return nil, err
			}
			if grown && !t.full && f.event.Type != event.TypeRequestCompleted { // a request that has a cause is a function's, which makes it again
				sources = append(sources, f)
			}
		}
	}
	return sources, nil
}

// root adds the tree that begins with an event, unless that is there.
func (t *tracer) root(ctx context.Context, f *found, note string) (grown bool, err error) {
	if t.seen[f.event.ID] {
		return false, nil
	}
	if len(t.out.Roots) == maxTraceRoots {
		t.cut(fmt.Sprintf("only the first %d chains are shown", maxTraceRoots))
		return false, nil
	}
	n, err := t.event(ctx, f, 0)
	if err != nil {
		return false, err
	}
	switch {
	case n.Note == "":
		n.Note = note
	case note != "":
		n.Note += "; " + note
	}
	t.out.Roots = append(t.out.Roots, n)
	return true, nil
}

// starts are the events that the id is about: one, or those of a W3C trace.
func (t *tracer) starts(ctx context.Context, id, topic string) ([]*found, error) {
	if !w3cTrace.MatchString(id) {
		f, err := t.api.find(ctx, id, topic)
		if err != nil {
			return nil, err
		}
		return []*found{f}, nil
	}
	ps, err := t.api.searched(ctx, topic)
	if err != nil {
		return nil, err
	}
	s := backward{log: t.api.log, now: t.api.now, most: maxTraceHits, want: func(e *event.Event) bool {
		parent := e.Extension(event.ExtTraceParent)
		return len(parent) >= 35 && parent[3:35] == id
	}}
	if err := s.run(ctx, ps); err != nil {
		return nil, err
	}
	if len(s.hits) == 0 {
		return nil, s.missing(fmt.Sprintf("no event is of the trace %s", id), topic)
	}
	if !s.whole {
		t.cut(fmt.Sprintf("no index knows trace ids: of the newest %d events, back to %s, these are of the trace", s.looked, s.since.UTC().Format(time.RFC3339)))
	}
	var all []*found
	for i := range s.hits {
		all = append(all, &found{record: s.hits[i], event: eventlog.EventOf(&s.hits[i]), how: s.how()})
	}
	return all, nil
}

// climb goes from an event to the one that caused it, and on to the first that can be found, which is the first of what it returns; the event itself is the last.
func (t *tracer) climb(ctx context.Context, f *found) (chain []*found, err error) {
	chain = []*found{f}
	passed := map[string]bool{f.event.ID: true}
	for range maxTraceDepth {
		cause := f.event.Extension(event.ExtCausationID)
		if cause == "" {
			return chain, nil
		}
		if passed[cause] {
			t.cut(fmt.Sprintf("event %s is among its own causes", fault.Clip(cause)))
			return chain, nil
		}
		passed[cause] = true
		above, err := t.cause(ctx, cause, f.record.Time)
		if err != nil {
			return nil, err
		}
		if above == nil {
			t.cut(fmt.Sprintf("event %s, which caused %s, was not found: the log holds it no more, or no trigger ran it", fault.Clip(cause), fault.Clip(f.event.ID)))
			return chain, nil
		}
		f, chain = above, append([]*found{above}, chain...)
	}
	t.cut(fmt.Sprintf("the chain has more than %d causes", maxTraceDepth))
	return chain, nil
}

// cause finds an event that caused another, which was appended at a time; nil = it cannot be found without a scan.
func (t *tracer) cause(ctx context.Context, id string, before time.Time) (*found, error) {
	f, err := t.api.findByIndex(ctx, id, "")
	if f != nil || err != nil && fault.KindOf(err) != fault.NotFound {
		return f, err
	}
	ps, err := t.api.searched(ctx, "")
	if err != nil {
		return nil, err
	}
	at, ok := timeOfID(id)
	if !ok {
		at = before
	}
	return t.api.findAround(ctx, ps, id, at, before)
}
