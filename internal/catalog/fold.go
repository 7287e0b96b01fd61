package catalog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// state is the fold's own copy: it changes in place, while a Function once made is replaced, never changed.
type state struct {
	offset    int64 // the next control offset
	blind     bool  // a newer binary's event was passed over: what is here is not all that a snapshot at offset would have to hold
	settings  settings
	last      map[string]int64 // function -> offset of its last accepted event, removed ones too
	functions map[string]*Function
	dirty     map[string]bool   // topics whose match set changed since the last publish
	parts     map[string][]part // of changes that are made together, until the last is there; by their id
}

func newState() *state {
	return &state{last: map[string]int64{}, functions: map[string]*Function{}, dirty: map[string]bool{}, parts: map[string][]part{}}
}

// clone is a state that goes on by itself.
func (s *state) clone() *state {
	c := *s
	c.last, c.functions, c.dirty = maps.Clone(s.last), maps.Clone(s.functions), maps.Clone(s.dirty)
	c.parts = map[string][]part{}
	for id, parts := range s.parts {
		c.parts[id] = slices.Clip(parts)
	}
	return &c
}

// waiting are the offsets of parts of several that wait for the rest.
func (s *state) waiting() map[int64]bool {
	pending := map[int64]bool{}
	for _, parts := range s.parts {
		for _, p := range parts {
			pending[p.record.Offset] = true
		}
	}
	return pending
}

// foldAll folds records and returns those that were not accepted.
func (s *state) foldAll(records []eventlog.Record, logger *slog.Logger) (lost []rejection) {
	for _, r := range records {
		if r.Offset < s.offset {
			continue // delivered again
		}
		s.offset = r.Offset + 1
		lost = append(lost, s.take(r, logger)...)
	}
	return lost
}

// fold folds an event that expects what is so.
func (s *state) fold(one part) (accepted bool, err error) {
	p, r, typ := one.payload, one.record, one.typ
	f, exists := s.functions[p.Function]
	switch {
	case !known(typ):
		s.pass(f, p.Function, r.Offset)
		return true, fmt.Errorf("event type %q is of a newer dalamb", typ)
	case typ == event.TypeFunctionDeployed && p.Version != nil && (p.Alias != nil || exists):
		s.deploy(f, p, one.birth())
	case s.settings.set(typ, p, r.Time):
	case s.settings.give(typ, p, one.birth()):
	case s.settings.listen(typ, p, r.Time):
	case s.settings.heed(typ, p, r):
	case s.settings.allow(typ, p):
	case s.settings.remember(typ, p):
	case typ == event.TypeCopyStarted, typ == event.TypeCopyEnded:
		if !s.settings.carry(typ, p, r.Time) {
			return false, nil
		}
	case !exists:
		return false, nil
	case typ == event.TypeFunctionRemoved:
		s.touch(f)
		delete(s.functions, p.Function)
	case typ == event.TypeAliasShifted && p.Alias != nil:
		moved := f.clone()
		moved.moved(p.Alias, one.birth())
		moved.delivered(p.Alias.Name, p.Deliverer)
		s.shift(moved, p, one.birth())
	case typ == event.TypeAliasRemoved && p.Alias != nil:
		without := f.clone()
		without.overtake(p.Alias.Name, "", "the alias was removed", one.birth())
		s.removeAlias(without, p.Alias.Name, r.Offset)
	case typ == event.TypeVersionRemoved && len(p.Drops) > 0:
		s.removeVersions(f.clone(), p.Drops, r.Offset)
	case typ == event.TypeFunctionNoted && p.Note != nil:
		s.note(f.clone(), p.Note, r.Offset)
	case typ == event.TypeTriggerPaused, typ == event.TypeTriggerResumed:
		s.pause(f.clone(), p.Trigger, typ == event.TypeTriggerPaused, one.birth())
	case typ == event.TypeTriggerSought:
		if !s.seek(f.clone(), p, one.birth()) {
			return false, nil
		}
	case typ == event.TypeKeyPaused, typ == event.TypeKeyResumed:
		s.pauseKey(f.clone(), p, typ == event.TypeKeyPaused, r.Offset)
	case typ == event.TypeReplayStarted:
		if !s.startReplay(f.clone(), p, one.birth()) {
			return false, nil
		}
	case typ == event.TypeReplayEnded:
		if !s.endReplay(f.clone(), p, one.birth()) {
			return false, nil
		}
	case typ == event.TypeRolloutStarted, typ == event.TypeRolloutStepped, typ == event.TypeRolloutPaused,
		typ == event.TypeRolloutResumed, typ == event.TypeRolloutFailed, typ == event.TypeRolloutFinished:
		if !s.rollout(f.clone(), typ, p, one.birth()) {
			return false, nil
		}
	default:
		return false, fmt.Errorf("%s lacks what such an event says", typ)
	}
	s.last[p.Function] = r.Offset
	if typ == event.TypeNoteChanged && p.Note != nil && p.Note.Text == nil {
		s.forgetNotes()
	}
	return true, nil
}

// known says whether this binary knows what a control event of a type does.
func known(typ string) bool { return slices.Contains(event.ControlTypes(), typ) }

// pass takes an event of a newer binary into the order of what it is about: a node of that binary has accepted it, and both have to say
// the same of what comes after it.
func (s *state) pass(f *Function, entity string, offset int64) {
	s.blind = true
	s.last[entity] = offset
	if f != nil {
		f = f.clone()
		f.Last = offset
		s.functions[entity] = f
	}
}

func (s *state) deploy(f *Function, p payload, b birth) {
	if f == nil {
		f = &Function{Name: p.Function, Aliases: map[string]function.Alias{}, Created: b.offset}
		s.dirty[function.TopicInvoke] = true
	} else {
		f = f.clone()
	}
	version := *p.Version
	version.By = b.by
	f.Versions = append(f.Versions, &version)
	f.drop(p.Drops)
	if p.Alias == nil {
		f.Last = b.offset
		s.functions[f.Name] = f
		return
	}
	f.overtake(p.Alias.Name, "", fmt.Sprintf("version %d was deployed", version.Number), b)
	f.delivered(p.Alias.Name, Deliverer(version.Origin))
	s.shift(f, p, b)
}

// shift sets an alias of f, which is the fold's own fresh copy, and puts f in place.
func (s *state) shift(f *Function, p payload, b birth) {
	if old := s.functions[f.Name]; old != nil {
		s.touch(old)
	}
	a := *p.Alias
	f.trace(a)
	if _, there := f.Aliases[a.Name]; !there {
		f.bear(a.Name, b.offset)
	}
	f.Aliases[a.Name] = a
	if a.Name == function.LiveAlias {
		f.Triggers = triggersOf(f, b)
	}
	f.Last = b.offset
	s.functions[f.Name] = f
	s.touch(f)
}

func (s *state) pause(f *Function, trigger string, paused bool, b birth) {
	for i, t := range f.Triggers {
		if t.Name == trigger {
			changed := *t
			changed.Paused = paused
			if !paused {
				changed.Plan = b.plan(t.Trigger, i) // what was planned during the pause is not made up for
			}
			f.Triggers[i] = &changed
		}
	}
	f.Last = b.offset
	s.functions[f.Name] = f
	s.touch(f)
}

func (s *state) touch(f *Function) {
	for _, t := range f.Triggers {
		s.dirty[t.Topic] = true
	}
}

// maxTriggers is how many triggers one function can have: their numbers share the low bits of Trigger.UID.
const maxTriggers = 1 << 10

// triggersOf lists the triggers of the live version. One that the function had before, by name and topic, stays the same
// trigger: it keeps its UID, its start and its pause.
func triggersOf(f *Function, b birth) []*Trigger {
	live := f.Live()
	if live == nil {
		return nil
	}
	before := map[string]*Trigger{}
	for _, t := range f.Triggers {
		before[t.Name+"\x00"+t.Topic] = t
	}
	declared := append([]function.Trigger{invokeTrigger(&live.Spec)}, live.Spec.Triggers...)
	var ts []*Trigger
	for i, d := range declared {
		d = d.Ticking(f.Name)
		t := &Trigger{
			UID: b.uid(i), Function: f.Name, Trigger: d, Start: b.start(d), TopicID: b.topics[d.Topic], Began: b.at, Plan: b.plan(d, i),
			Max: live.Spec.Scale.Max * max(1, live.Spec.Entry.Concurrency),
		}
		if old := before[d.Name+"\x00"+d.Topic]; old != nil {
			t.UID, t.Start, t.TopicID, t.Began, t.Paused, t.Sought, t.Was = old.UID, old.Start, old.TopicID, old.Began, old.Paused, old.Sought, old.Was
			t.PausedKeys = old.PausedKeys
			if old.Schedule == d.Schedule && old.Timezone == d.Timezone {
				t.Plan = old.Plan
			}
		}
		if d.Topic != "" {
			// A pattern that cannot be compiled was accepted by a newer binary; this one lets the trigger wait.
			t.Pattern, t.Err = match.Parse(orEvery(d.Filter))
		}
		ts = append(ts, t)
	}
	return ts
}

func invokeTrigger(s *function.Spec) function.Trigger {
	filter, _ := json.Marshal(map[string][]string{"subject": {s.Name}}) // strings alone cannot fail
	var rules function.Rules
	if a := s.Async; a != nil {
		rules.OnSuccess, rules.OnFailure = a.OnSuccess, a.OnFailure
	}
	return function.Trigger{
		Rules: rules,
		Name:  function.InvokeTrigger, Topic: function.TopicInvoke, Filter: filter, Order: function.OrderNone,
		Retry: s.AsyncRetry(),
	}
}
