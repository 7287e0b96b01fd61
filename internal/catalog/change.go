package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Change is one step of the platform's life: Deploy, Remove, Shift or Pause.
type Change interface {
	// event checks the change against the view and makes its control event, which lacks the time alone.
	event(ctx context.Context, log eventlog.Log, v *View) (*event.Event, error)
}

// Starts says where new triggers begin: topic -> partition -> offset. A partition that is not named begins at 0.
type Starts map[string]map[int32]int64

// Deploy makes a version and points an alias at it. The version's number is set by the catalog.
type Deploy struct {
	Version function.Version
	Alias   string // "" = live
}

// Remove takes a function away, with its versions, triggers and their progress.
type Remove struct{ Function string }

// Shift points an alias of a function at other versions.
type Shift struct {
	Function string
	Alias    function.Alias
}

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
	Expects int64             `json:"expects"`
	Version *function.Version `json:"version,omitempty"`
	Alias   *function.Alias   `json:"alias,omitempty"`
	Starts  Starts            `json:"starts,omitempty"`
	Trigger string            `json:"trigger,omitempty"`
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

func (d Deploy) event(ctx context.Context, log eventlog.Log, v *View) (*event.Event, error) {
	name := d.Version.Function()
	version := d.Version
	version.Number = 1
	alias := function.Alias{Name: d.Alias}
	if alias.Name == "" {
		alias.Name = function.LiveAlias
	}
	if f, ok := v.functions[name]; ok {
		version.Number = f.Versions[len(f.Versions)-1].Number + 1
	}
	alias.Primary = version.Number
	starts, err := ends(ctx, log, version.Spec.Triggers)
	if err != nil {
		return nil, err
	}
	p := payload{Function: name, Expects: v.expects(name), Version: &version, Alias: &alias, Starts: starts}
	return p.event(event.TypeFunctionDeployed)
}

func (r Remove) event(_ context.Context, _ eventlog.Log, v *View) (*event.Event, error) {
	if _, err := v.Function(r.Function); err != nil {
		return nil, err
	}
	return payload{Function: r.Function, Expects: v.expects(r.Function)}.event(event.TypeFunctionRemoved)
}

func (s Shift) event(ctx context.Context, log eventlog.Log, v *View) (*event.Event, error) {
	f, err := v.Function(s.Function)
	if err != nil {
		return nil, err
	}
	primary := f.version(s.Alias.Primary)
	if primary == nil {
		return nil, fault.New(fault.NotFound, "function %q has no version %d", s.Function, s.Alias.Primary)
	}
	total := 0
	for n, weight := range s.Alias.Weights {
		if f.version(n) == nil {
			return nil, fault.New(fault.NotFound, "function %q has no version %d", s.Function, n)
		}
		if weight < 0 || total+weight > 100 {
			return nil, fault.New(fault.Invalid, "alias %q: weights are parts of 100, each from 0, together at most 100", s.Alias.Name)
		}
		total += weight
	}
	starts, err := ends(ctx, log, primary.Spec.Triggers)
	if err != nil {
		return nil, err
	}
	p := payload{Function: s.Function, Expects: v.expects(s.Function), Alias: &s.Alias, Starts: starts}
	return p.event(event.TypeAliasShifted)
}

func (c Pause) event(_ context.Context, _ eventlog.Log, v *View) (*event.Event, error) {
	if _, err := v.Trigger(c.Function, c.Trigger); err != nil {
		return nil, err
	}
	typ := event.TypeTriggerResumed
	if c.Paused {
		typ = event.TypeTriggerPaused
	}
	return payload{Function: c.Function, Expects: v.expects(c.Function), Trigger: c.Trigger}.event(typ)
}

// ends returns where the topics of the triggers end now, the asynchronous calls' topic included: a new trigger starts there.
func ends(ctx context.Context, log eventlog.Log, triggers []function.Trigger) (Starts, error) {
	wanted := map[string]bool{function.TopicInvoke: true}
	for _, t := range triggers {
		if t.Topic != "" {
			wanted[t.Topic] = true
		}
	}
	topics, err := log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	starts := Starts{}
	var names []string
	for _, t := range topics {
		names = append(names, t.Name)
		if !wanted[t.Name] {
			continue
		}
		delete(wanted, t.Name)
		starts[t.Name] = map[int32]int64{}
		for p := range t.Partitions {
			b, err := log.Bounds(ctx, eventlog.Partition{Topic: t.Name, ID: p})
			if err != nil {
				return nil, fmt.Errorf("read the end of %s: %w", t.Name, err)
			}
			starts[t.Name][p] = b.End
		}
	}
	for name := range wanted {
		return nil, fault.Missing("topic", name, names)
	}
	return starts, nil
}
