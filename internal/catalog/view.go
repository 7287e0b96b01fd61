package catalog

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// View is the catalog at one offset of the control topic. It never changes.
type View struct {
	Offset int64 // the next control offset

	functions map[string]*Function
	settings  settings
	last      map[string]int64
	sets      map[string]func() *match.Set[*Trigger] // by topic; each compiles at its first use
	names     []string                               // sorted
}

// Function is one function as it stands.
type Function struct {
	Name      string
	Versions  []*function.Version // by number, rising
	Newest    int                 `json:"newest,omitempty"` // number of the newest version, where that was removed; 0 = the last of Versions is it
	Aliases   map[string]function.Alias
	Born      map[string]int64            `json:"born,omitempty"`      // alias -> control offset of what made it: one of the same name later is another
	Trails    map[string][]int            `json:"trails,omitempty"`    // alias -> the primaries that it had before, the newest last; see Function.trace
	Delivered map[string]*function.Origin `json:"delivered,omitempty"` // alias -> whose deploy moved it last; see Deliverer
	Triggers  []*Trigger                  // of the live version, the implicit function.InvokeTrigger first
	Replays   []*Replay                   `json:"replays,omitempty"`  // the oldest first; of those that are over the newest
	Rollouts  []*Rollout                  `json:"rollouts,omitempty"` // as Replays
	Notes     map[string]json.RawMessage  `json:"notes,omitempty"`    // see Note
	Created   int64                       // control offset of the deploy that made it
	Last      int64                       // control offset of its newest change
}

// Trigger is a trigger of a live version, with what the platform knows of it.
type Trigger struct {
	// UID is unique over all time. A trigger keeps it from version to version while its name and topic stay; removed and made
	// again it is another one.
	UID      int64
	Function string
	function.Trigger
	Pattern *match.Pattern  `json:"-"` // nil for a route
	Start   map[int32]int64 // partition -> first offset that it wants; a partition that is not named: 0
	TopicID string          `json:"topicID,omitempty"` // of the topic that Start is about; "" = not known
	Began   time.Time       `json:"began,omitzero"`    // when it came to be, or was sought last; zero = not known
	Sought  map[int32]int64 `json:"sought,omitempty"`  // partition -> its UID there, where it was sought in that partition alone
	Was     []int64         `json:"was,omitempty"`     // UIDs that it had before it was sought, the newest last
	Plan    *Plan           `json:"plan,omitempty"`    // of a schedule
	Paused  bool
	// PausedKeys are the keys whose events wait, sorted.
	PausedKeys []string `json:",omitempty"`
	Max        int      // invocations at a time on one node: instances times concurrency
	Replay     *Replay  `json:"-"` // whose own trigger this is; nil = it is a live one
	Err        error    `json:"-"` // this binary cannot compile the filter; the trigger is not in any match set
}

// ReplayName is the name of the replay whose own trigger this is; "" for a live one.
func (t *Trigger) ReplayName() string {
	if t.Replay == nil {
		return ""
	}
	return t.Replay.Name
}

// Begin is the first offset that the trigger wants of a partition of its topic. Where it began in a topic of the same name that is no more
// says nothing of this one: it wants all of it.
func (t *Trigger) Begin(topicID string, partition int32) int64 {
	if !t.about(topicID) {
		return 0
	}
	return t.Start[partition]
}

// about says whether Start is about a topic, as far as is known.
func (t *Trigger) about(topicID string) bool {
	return t.TopicID == "" || topicID == "" || t.TopicID == topicID
}

// In is the trigger's UID in one partition.
func (t *Trigger) In(partition int32) int64 {
	if uid, ok := t.Sought[partition]; ok {
		return uid
	}
	return t.UID
}

// Since is the control offset at which the trigger came to be in one partition.
func (t *Trigger) Since(partition int32) int64 { return t.In(partition) / maxTriggers }

// Newest is the control offset since which the trigger is in all partitions what it is.
func (t *Trigger) Newest() int64 {
	uid := t.UID
	for _, sought := range t.Sought {
		uid = max(uid, sought)
	}
	return uid / maxTriggers
}

// Route is a trigger that answers HTTP requests.
type Route struct {
	Function string
	Trigger  *Trigger
}

func (f *Function) clone() *Function {
	c := *f
	c.Versions = slices.Clone(f.Versions)
	c.Aliases = maps.Clone(f.Aliases)
	c.Born = maps.Clone(f.Born)
	c.Trails = maps.Clone(f.Trails)
	c.Delivered = maps.Clone(f.Delivered)
	c.Notes = maps.Clone(f.Notes)
	c.Triggers = slices.Clone(f.Triggers)
	c.Replays = slices.Clone(f.Replays)
	c.Rollouts = slices.Clone(f.Rollouts)
	return &c
}

func (f *Function) version(n int) *function.Version {
	i, ok := slices.BinarySearchFunc(f.Versions, n, func(v *function.Version, n int) int { return v.Number - n })
	if !ok {
		return nil
	}
	return f.Versions[i]
}

// Live is the primary version of the live alias; nil while that alias has not been set.
func (f *Function) Live() *function.Version {
	return f.version(f.Aliases[function.LiveAlias].Primary)
}

// publish makes the view of the state. What did not change is shared with the view before.
func (s *state) publish(before *View) *View {
	v := &View{
		Offset: s.offset, settings: s.settings, functions: maps.Clone(s.functions), last: maps.Clone(s.last),
		names: slices.Sorted(maps.Keys(s.functions)), sets: map[string]func() *match.Set[*Trigger]{},
	}
	byTopic := map[string][]match.Rule[*Trigger]{}
	for _, name := range v.names {
		for _, t := range s.functions[name].Triggers {
			if t.Topic != "" && t.Err == nil {
				byTopic[t.Topic] = append(byTopic[t.Topic], match.Rule[*Trigger]{Pattern: t.Pattern, Value: t})
			}
		}
	}
	for topic, rules := range byTopic {
		if before != nil && !s.dirty[topic] && before.sets[topic] != nil {
			v.sets[topic] = before.sets[topic]
			continue
		}
		v.sets[topic] = sync.OnceValue(func() *match.Set[*Trigger] { return match.NewSet(rules) })
	}
	clear(s.dirty)
	return v
}

// expects is the offset of the last accepted event of a function, -1 if there is none.
func (v *View) expects(fn string) int64 {
	if last, ok := v.last[fn]; ok {
		return last
	}
	return -1
}

// Functions lists all functions by name.
func (v *View) Functions() []*Function {
	fs := make([]*Function, len(v.names))
	for i, name := range v.names {
		fs[i] = v.functions[name]
	}
	return fs
}

// Function returns a function, or NotFound with the nearest names.
func (v *View) Function(name string) (*Function, error) {
	if f, ok := v.functions[name]; ok {
		return f, nil
	}
	return nil, fault.Missing("function", name, v.names)
}

// Version returns the version that an alias ("" = live) runs for a ticket, see function.Ticket.
func (v *View) Version(fn, alias string, ticket uint64) (*function.Version, error) {
	a, err := v.Alias(fn, alias)
	if err != nil {
		return nil, err
	}
	return v.VersionNumber(fn, a.Pick(ticket))
}

// VersionNumber returns one version of a function.
func (v *View) VersionNumber(fn string, n int) (*function.Version, error) {
	f, err := v.Function(fn)
	if err != nil {
		return nil, err
	}
	if version := f.version(n); version != nil {
		return version, nil
	}
	return nil, fault.New(fault.NotFound, "function %q has no version %d", fn, n)
}

// Wanted lists the versions that an alias points at, or that a replay runs.
func (v *View) Wanted() []*function.Version {
	var vs []*function.Version
	for _, f := range v.Functions() {
		numbers := f.inUse()
		for _, version := range f.Versions {
			if numbers[version.Number] {
				vs = append(vs, version)
			}
		}
	}
	return vs
}

// Stored is where the code, or the image's layer, of a digest stands in the log, as any version says; nil when none does.
func (v *View) Stored(digest string) *function.Stored {
	for _, f := range v.Functions() {
		for _, version := range f.Versions {
			if version.Code == digest && version.Stored != nil {
				return version.Stored
			}
			if at := version.Image.Stored(digest); at != nil {
				return at
			}
		}
	}
	return nil
}

// Trigger returns a trigger of a function's live version, or NotFound with the nearest names.
func (v *View) Trigger(fn, trigger string) (*Trigger, error) {
	f, err := v.Function(fn)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range f.Triggers {
		if t.Name == trigger {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, fault.Missing("trigger of "+fn, trigger, names)
}

// Match returns the index over the triggers of a topic, paused ones included; nil when the topic has none.
func (v *View) Match(topic string) *match.Set[*Trigger] {
	if set, ok := v.sets[topic]; ok {
		return set()
	}
	return nil
}

// Topics lists the topics that have triggers.
func (v *View) Topics() []string { return slices.Sorted(maps.Keys(v.sets)) }

// Routes lists the routes of all functions.
func (v *View) Routes() []Route {
	var rs []Route
	for _, f := range v.Functions() {
		for _, t := range f.Triggers {
			if t.Route != nil {
				rs = append(rs, Route{Function: f.Name, Trigger: t})
			}
		}
	}
	return rs
}
