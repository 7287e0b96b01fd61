package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Change is one step of the platform's life: Deploy, Remove, Shift, RemoveAlias, RemoveVersion, Pause, PauseKey, Seek, StartReplay, EndReplay, StartCopy, EndCopy,
// one of those of roll-outs, or one of those of notes, topics, tokens, secrets, configuration values and hooks.
type Change interface {
	// event checks the change against the scene and makes its control event, which lacks the time alone.
	event(ctx context.Context, s scene) (*event.Event, error)
}

// scene is what a change is checked against.
type scene struct {
	log  eventlog.Log
	view *View
	now  time.Time
}

// Deploy makes a version and points an alias at it. The version's number is set by the catalog.
type Deploy struct {
	Version function.Version
	Alias   string // "" = live
	Aside   bool   // no alias points at it yet; the function is there
	// Expects is the Function.Last that the deploy was decided upon, -1 = there was none of its name; nil = the newest. Another one is a Conflict.
	Expects *int64
	// Needed says which versions somebody needs whom the catalog does not know; nil = none. See Retained.
	Needed func(version int) bool
	// Amend makes the version what it has to be beside what else is there when it is made; nil = it is that already.
	Amend func(view *View, version *function.Version)
}

// Remove takes a function away, with its versions, triggers and their progress.
type Remove struct{ Function string }

// Pause pauses a trigger, or lets it go on.
type Pause struct {
	Function, Trigger string
	Paused            bool
}

// payload is the data of every control event; which fields are set depends on the event's type.
type payload struct {
	Function string `json:"function"`
	// Expects is the offset of the last accepted event of this function; -1 = there was none. The fold accepts the
	// event only if that is so, whoever wrote it.
	Expects   int64                `json:"expects"`
	Version   *function.Version    `json:"version,omitempty"`
	Alias     *function.Alias      `json:"alias,omitempty"`
	Deliverer *function.Origin     `json:"deliverer,omitempty"` // whose deploy a shift is; nil = nobody's
	Starts    Starts               `json:"starts,omitempty"`
	Topics    topicIDs             `json:"topics,omitempty"`
	Begins    Begins               `json:"begins,omitempty"`
	Partial   bool                 `json:"partial,omitempty"` // a seek of those partitions alone that Begins names
	Trigger   string               `json:"trigger,omitempty"`
	Topic     string               `json:"topic,omitempty"`
	Rules     *function.TopicRules `json:"rules,omitempty"`
	Token     string               `json:"token,omitempty"`
	Hash      string               `json:"hash,omitempty"`
	Grant     *grantPayload        `json:"grant,omitempty"`
	Tenant    *grantPayload        `json:"tenant,omitempty"` // a grant for one environment
	Key       string               `json:"key,omitempty"`
	Replay    *replayPayload       `json:"replay,omitempty"`
	Copy      *copyPayload         `json:"copy,omitempty"`
	Value     *valuePayload        `json:"value,omitempty"`
	Rollout   *rolloutPayload      `json:"rollout,omitempty"`
	Hook      *function.Hook       `json:"hook,omitempty"`
	Alert     *function.Alert      `json:"alert,omitempty"`
	Quota     *quotaPayload        `json:"quota,omitempty"`
	Note      *notePayload         `json:"note,omitempty"`
	Access    *AccessKey           `json:"access,omitempty"`
	Back      bool                 `json:"back,omitempty"`  // a shift that takes back others
	Drops     []int                `json:"drops,omitempty"` // versions that go
	// Together says that the event is one of several that are accepted together, or not at all.
	Together *together `json:"together,omitempty"`
}

func (p payload) event(typ string) (*event.Event, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", typ, err)
	}
	return &event.Event{
		ID: event.NewID(), Source: "/dalamb/control", Type: typ, Subject: p.Function,
		DataContentType: "application/json", Data: data,
	}, nil
}

func (d Deploy) event(ctx context.Context, at scene) (*event.Event, error) {
	v := at.view
	name := d.Version.Function()
	version := d.Version
	version.Number = 1
	alias := function.Alias{Name: d.Alias}
	if alias.Name == "" {
		alias.Name = function.LiveAlias
	}
	if err := v.stands(name, d.Expects); err != nil {
		return nil, err
	}
	if f, ok := v.functions[name]; ok {
		version.Number = f.newest() + 1
	}
	if d.Amend != nil {
		d.Amend(v, &version)
	}
	if err := v.Provides(&version.Spec); err != nil {
		return nil, err
	}
	if d.Aside {
		if version.Number == 1 {
			return nil, fault.New(fault.Conflict, "function %q is not there any more", name)
		}
		p := payload{Function: name, Expects: v.expects(name), Version: &version}
		p.Drops = v.outlived(p, d.Needed)
		return p.event(event.TypeFunctionDeployed)
	}
	alias.Primary = version.Number
	p, err := at.places(ctx, name, version.Spec.Triggers)
	if err != nil {
		return nil, err
	}
	if err := v.admits(name, alias.Name); err != nil {
		return nil, err
	}
	p.Function, p.Expects, p.Version, p.Alias = name, v.expects(name), &version, &alias
	p.Drops = v.outlived(p, d.Needed)
	return p.event(event.TypeFunctionDeployed)
}

func (r Remove) event(_ context.Context, at scene) (*event.Event, error) {
	v := at.view
	if _, err := v.Function(r.Function); err != nil {
		return nil, err
	}
	return payload{Function: r.Function, Expects: v.expects(r.Function)}.event(event.TypeFunctionRemoved)
}

func (c Pause) event(_ context.Context, at scene) (*event.Event, error) {
	v := at.view
	if _, err := v.Trigger(c.Function, c.Trigger); err != nil {
		return nil, err
	}
	typ := event.TypeTriggerResumed
	if c.Paused {
		typ = event.TypeTriggerPaused
	}
	return payload{Function: c.Function, Expects: v.expects(c.Function), Trigger: c.Trigger}.event(typ)
}
