package console

import (
	"context"
	"encoding/json"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one tree of causes.
const (
	maxAncestors = 20
	maxCauses    = 150
	maxDeep      = 12
)

// cause is an event in the tree of what led to what: below it the runs that it had, and below each what that emitted.
type cause struct {
	ID, Type string
	Place    *function.EventRef // nil = it is not known where it stands
	Here     bool               // the page is about it
	Runs     []causedRun
	Deep     int
}

type causedRun struct {
	ID, Function, Trigger string
	State                 function.RunState
	Events                []*cause
}

// causes is the tree from the first event that is known to have led to this one; cut says that there is more of it.
func causes(ctx context.Context, v *visit, at *wire.EventAt, head *eventHead) (root *cause, cut bool, err error) {
	here := function.EventRef{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, ID: head.ID, Type: head.Type}
	first, causation := here, head.CausationID
	seen := map[string]bool{head.ID: true}
	for range maxAncestors {
		if causation == "" || seen[causation] {
			break
		}
		seen[causation] = true
		place, err := placeOf(ctx, v, causation)
		if err != nil {
			return nil, false, err
		}
		if place == nil {
			break
		}
		first, causation = *place, ""
		before, err := v.Client.Event(ctx, place.Topic, place.Partition, place.Offset)
		if err != nil {
			if err = unlessMissing(err); err != nil {
				return nil, false, err
			}
			break // the log does not hold it any more
		}
		var h eventHead
		if json.Unmarshal(before.Event, &h) == nil && h.ID == place.ID {
			causation, first.Type = h.CausationID, h.Type
		}
	}
	g := growth{v: v, here: head.ID, left: maxCauses - 1, seen: map[string]bool{}}
	root = &cause{ID: first.ID, Type: first.Type, Place: &first, Here: first.ID == head.ID}
	if err := g.grow(ctx, root); err != nil {
		return nil, false, err
	}
	return root, g.cut, nil
}

// growth makes the tree, as large as it may be.
type growth struct {
	v    *visit
	here string
	left int // events that may still be put below others, those that are there twice among them
	seen map[string]bool
	cut  bool
}

func (g *growth) grow(ctx context.Context, c *cause) error {
	if g.seen[c.ID] {
		return nil
	}
	g.seen[c.ID] = true
	if c.Deep >= maxDeep {
		g.cut = true
		return nil
	}
	page, err := g.v.Client.Runs(ctx, client.RunQuery{Event: c.ID, Limit: 50})
	if err != nil {
		return err
	}
	g.cut = g.cut || page.Next != ""
	for _, r := range page.Runs {
		if c.Place == nil {
			c.Place = &r.Event
		}
		one := causedRun{ID: r.ID, Function: r.Function, Trigger: r.Trigger, State: r.State}
		for _, e := range r.Emitted {
			if g.left == 0 {
				g.cut = true
				break
			}
			g.left--
			child := &cause{ID: e.ID, Type: e.Type, Here: e.ID == g.here, Deep: c.Deep + 1}
			one.Events = append(one.Events, child)
			if err := g.grow(ctx, child); err != nil {
				return err
			}
		}
		c.Runs = append(c.Runs, one)
	}
	return nil
}
