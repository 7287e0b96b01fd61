package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// Bounds of replays.
const (
	MaxReplays = 16  // that are not over, in the installation
	keptEnded  = 100 // that are over, of one function
)

// Replay is a replay as it stands. It has a trigger of its own: a copy of the trigger that it is of, as that was when the replay
// was asked for.
type Replay struct {
	function.Replay
	TopicID string            `json:"topicID"` // of the topic that it reads; one of the same name later is another
	End     map[int32]int64   `json:"end"`     // partition -> first offset that it leaves out; a partition that is not named is left out
	Only    map[int32][]int64 `json:"only,omitempty"`
	Own     *Trigger          `json:"own"`
	Started time.Time         `json:"started"`
	Story   int64             `json:"story"` // how far _dalamb.replays was, in the partition of its name, when it started
	Ended   *ReplayEnd        `json:"ended,omitempty"`

	filter *match.Pattern
}

// ReplayEnd is how a replay ended.
type ReplayEnd struct {
	At     time.Time       `json:"at"`
	State  string          `json:"state"`
	Report json.RawMessage `json:"report,omitempty"`
}

// Wants says whether the replay runs an event that its trigger's filter matches.
func (r *Replay) Wants(partition int32, offset int64, e *event.Event) bool {
	if r.Key != "" && e.Key() != r.Key || r.filter != nil && !r.filter.MatchEvent(e) {
		return false
	}
	if r.Only == nil {
		return true
	}
	_, ok := slices.BinarySearch(r.Only[partition], offset)
	return ok
}

// compile makes what is not stored; of a filter that this binary cannot read the replay's trigger says so.
func (r *Replay) compile() {
	t := r.Own
	t.Replay = r
	t.Pattern, t.Err = match.Parse(orEvery(t.Filter))
	if t.Err == nil && len(r.Filter) > 0 {
		r.filter, t.Err = match.Parse(r.Filter)
	}
}

// StartReplay starts a replay whose version is known.
type StartReplay struct {
	Replay  function.Replay
	TopicID string
	From    map[int32]int64 // partition -> offset
	To      map[int32]int64
	Only    map[int32][]int64 // offsets, rising; nil = all
}

// EndReplay ends a replay.
type EndReplay struct {
	Name, State string
	Report      json.RawMessage
}

// replayPayload is what a replay.started or replay.ended event says beside what all control events say.
type replayPayload struct {
	function.Replay
	TopicID string            `json:"topicID,omitempty"`
	End     map[int32]int64   `json:"end,omitempty"`
	Only    map[int32][]int64 `json:"only,omitempty"` // distances
	Story   int64             `json:"story,omitempty"`
	State   string            `json:"state,omitempty"`
	Report  json.RawMessage   `json:"report,omitempty"`
}

func (s StartReplay) event(ctx context.Context, at scene) (*event.Event, error) {
	r := s.Replay
	if _, err := at.view.Trigger(r.Function, r.Trigger); err != nil {
		return nil, err
	}
	if _, err := at.view.VersionNumber(r.Function, r.Version); err != nil {
		return nil, err
	}
	if _, err := at.view.Replay(r.Name); err == nil {
		return nil, fault.New(fault.Conflict, "there is a replay %q already", r.Name).WithHint("choose another name; the name is part of what its runs are known by")
	}
	active := at.view.Replaying()
	if active >= MaxReplays {
		return nil, fault.New(fault.Exhausted, "%d replays are under way, and no more can be", active).WithHint("wait until one is over, or cancel one: dalamb replay ls")
	}
	story, err := storyEnd(ctx, at.log, r.Name)
	if err != nil {
		return nil, err
	}
	p := payload{Function: r.Function, Expects: at.view.expects(r.Function), Trigger: r.Trigger, Begins: Begins{r.Trigger: s.From}}
	p.Replay = &replayPayload{Replay: r, TopicID: s.TopicID, End: s.To, Only: distances(s.Only), Story: story}
	return p.event(event.TypeReplayStarted)
}

// storyEnd is where the part of _dalamb.replays ends now that a replay of a name writes to.
func storyEnd(ctx context.Context, log eventlog.Log, name string) (int64, error) {
	topics, err := log.Topics(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(topics, func(t eventlog.Topic) bool { return t.Name == function.TopicReplays })
	if i < 0 {
		return 0, fault.New(fault.Unavailable, "topic %s is not there", function.TopicReplays).WithHint("it is made when a node starts")
	}
	b, err := log.Bounds(ctx, StoryOf(name, topics[i].Partitions))
	return b.End, err
}

// StoryOf is the partition that what becomes of a replay's runs is written to.
func StoryOf(name string, partitions int32) eventlog.Partition {
	return eventlog.Partition{Topic: function.TopicReplays, ID: eventlog.PartitionFor([]byte(name), partitions)}
}

func (e EndReplay) event(_ context.Context, at scene) (*event.Event, error) {
	r, err := at.view.Replay(e.Name)
	if err != nil {
		return nil, err
	}
	if r.Ended != nil {
		return nil, fault.New(fault.NotFound, "replay %q is over already", e.Name)
	}
	p := payload{Function: r.Function, Expects: at.view.expects(r.Function)}
	p.Replay = &replayPayload{Replay: function.Replay{Name: e.Name}, State: e.State, Report: e.Report}
	return p.event(event.TypeReplayEnded)
}

// startReplay takes a replay up in f, which is the fold's own fresh copy.
func (s *state) startReplay(f *Function, p payload, b birth) bool {
	i := slices.IndexFunc(f.Triggers, func(t *Trigger) bool { return t.Name == p.Trigger && t.Topic != "" })
	if i < 0 || p.Replay == nil || s.replay(p.Replay.Name) != nil {
		return false
	}
	own := *f.Triggers[i]
	own.TopicID = p.Replay.TopicID
	own.UID, own.Start, own.Began, own.Paused, own.PausedKeys, own.Sought, own.Was = b.uid(i), b.begins[p.Trigger], b.at, false, nil, nil, nil
	own.Retry.MaxAge = 0 // what is run again is old
	own.Max = max(1, (own.Max+3)/4)
	r := &Replay{
		Replay: p.Replay.Replay, TopicID: p.Replay.TopicID, End: p.Replay.End, Only: sums(p.Replay.Only), Story: p.Replay.Story,
		Own: &own, Started: b.at,
	}
	r.compile()
	f.Replays = append(f.Replays, r)
	f.Last = b.offset
	s.functions[f.Name] = f
	return true
}

func (s *state) replay(name string) *Replay {
	for _, f := range s.functions {
		for _, r := range f.Replays {
			if r.Name == name {
				return r
			}
		}
	}
	return nil
}

// endReplay ends a replay of f, which is the fold's own fresh copy. Of those that are over the newest are kept.
func (s *state) endReplay(f *Function, p payload, b birth) bool {
	if p.Replay == nil {
		return false
	}
	i := slices.IndexFunc(f.Replays, func(r *Replay) bool { return r.Name == p.Replay.Name && r.Ended == nil })
	if i < 0 {
		return false
	}
	over := *f.Replays[i]
	over.Only = nil
	over.Ended = &ReplayEnd{At: b.at, State: p.Replay.State, Report: p.Replay.Report}
	f.Replays[i] = &over
	ended := 0
	for j := len(f.Replays) - 1; j >= 0; j-- {
		if f.Replays[j].Ended == nil {
			continue
		}
		if ended++; ended > keptEnded {
			f.Replays = slices.Delete(f.Replays, j, j+1)
		}
	}
	f.Last = b.offset
	s.functions[f.Name] = f
	return true
}

// Replays lists the replays of all functions, the oldest of each first.
func (v *View) Replays() []*Replay {
	var rs []*Replay
	for _, f := range v.Functions() {
		rs = append(rs, f.Replays...)
	}
	return rs
}

// Replaying counts the replays that are not over.
func (v *View) Replaying() (active int) {
	for _, r := range v.Replays() {
		if r.Ended == nil {
			active++
		}
	}
	return active
}

// Replay returns a replay by its name, or NotFound with the nearest names.
func (v *View) Replay(name string) (*Replay, error) {
	var names []string
	for _, r := range v.Replays() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return nil, fault.Missing("replay", name, names)
}

// distances and sums write rising offsets with few digits.
func distances(of map[int32][]int64) map[int32][]int64 {
	return mapped(of, func(before, v int64) (out, next int64) { return v - before, v })
}

func sums(of map[int32][]int64) map[int32][]int64 {
	return mapped(of, func(before, v int64) (out, next int64) { return before + v, before + v })
}

func mapped(of map[int32][]int64, f func(before, v int64) (out, next int64)) map[int32][]int64 {
	if of == nil {
		return nil
	}
	out := make(map[int32][]int64, len(of))
	for id, vs := range of {
		before := int64(0)
		list := make([]int64, len(vs))
		for i, v := range vs {
			list[i], before = f(before, v)
		}
		out[id] = list
	}
	return out
}
