package catalog

import (
	"context"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// MaxPausedKeys is how many keys of one trigger can be paused at a time: who wants more wants to pause the trigger.
const MaxPausedKeys = 1000

// PauseKey pauses one key of a trigger, or lets it go on. The other keys do not notice.
type PauseKey struct {
	Function, Trigger, Key string
	Paused                 bool
}

func (c PauseKey) event(_ context.Context, at scene) (*event.Event, error) {
	v := at.view
	t, err := v.Trigger(c.Function, c.Trigger)
	if err != nil {
		return nil, err
	}
	_, there := slices.BinarySearch(t.PausedKeys, c.Key)
	typ := event.TypeKeyResumed
	switch {
	case c.Key == "":
		return nil, fault.New(fault.Invalid, "an empty key: events without a key cannot be paused by it")
	case !c.Paused && !there:
		return nil, fault.New(fault.NotFound, "key %q of %s/%s is not paused", fault.Clip(c.Key), c.Function, c.Trigger).
			WithHint("dalamb key ls %s/%s shows those that are", c.Function, c.Trigger)
	case !c.Paused:
	case t.Order == function.OrderPartition:
		return nil, fault.New(fault.Conflict, "trigger %s/%s has order: partition, where nothing overtakes a paused key", c.Function, c.Trigger).
			WithHint("pause the trigger, or deploy it with order: key")
	case !there && len(t.PausedKeys) >= MaxPausedKeys:
		return nil, fault.New(fault.Exhausted, "%d keys of %s/%s are paused already", len(t.PausedKeys), c.Function, c.Trigger).
			WithHint("resume some, or pause the trigger")
	}
	if c.Paused {
		typ = event.TypeKeyPaused
	}
	return payload{Function: c.Function, Expects: v.expects(c.Function), Trigger: c.Trigger, Key: c.Key}.event(typ)
}

// pauseKey changes f, which is the fold's own fresh copy, and puts it in place.
func (s *state) pauseKey(f *Function, p payload, paused bool, offset int64) {
	for i, t := range f.Triggers {
		if t.Name != p.Trigger {
			continue
		}
		at, there := slices.BinarySearch(t.PausedKeys, p.Key)
		if there == paused {
			continue
		}
		changed := *t
		changed.PausedKeys = slices.Clone(t.PausedKeys)
		if paused {
			changed.PausedKeys = slices.Insert(changed.PausedKeys, at, p.Key)
		} else {
			changed.PausedKeys = slices.Delete(changed.PausedKeys, at, at+1)
		}
		f.Triggers[i] = &changed
	}
	f.Last = offset
	s.functions[f.Name] = f
	s.touch(f)
}
