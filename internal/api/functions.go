package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listFunctions(r *http.Request, _ query) (any, error) {
	runner := a.node(r.Context()).Runner
	instances := a.counts()
	lags, _ := a.dispatcher.Lag(r.Context(), "") // of each it is told whether it is partial; why is the node's health
	troubles := a.fleet.Troubles()
	list := wire.FunctionList{Functions: []wire.FunctionSummary{}}
	for _, f := range a.catalog.View().Functions() {
		s := wire.FunctionSummary{Name: f.Name, Instances: instances[f.Name], Isolated: runner.Isolated, Lacks: runner.Lacks}
		if v := f.Live(); v != nil {
			own := a.runnerOf(r.Context(), &v.Spec)
			s.Isolated, s.Lacks = own.Isolated, lacks(own, &v.Spec)
			s.Version, s.Entry, s.Created, s.Triggers = v.Number, v.Spec.Entry.Type, v.Created, len(v.Spec.Triggers)
		}
		for _, t := range f.Triggers {
			if t.Route == nil {
				lag := lags[TriggerRef{f.Name, t.Name}]
				s.Lag += lag.Events
				s.LagPartial = s.LagPartial || lag.Partial
			}
		}
		for _, t := range troubles {
			if t.Function == f.Name {
				s.Troubles = append(s.Troubles, t)
			}
		}
		list.Functions = append(list.Functions, s)
	}
	return list, nil
}

func (a *API) getFunction(r *http.Request, _ query) (any, error) {
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	runner := a.node(r.Context()).Runner
	out := wire.Function{
		Name: f.Name, Isolated: runner.Isolated, Lacks: runner.Lacks,
		Versions: []function.Version{}, Aliases: []function.Alias{}, Triggers: []wire.Trigger{}, Instances: a.instances()[f.Name],
	}
	if v := f.Live(); v != nil {
		own := a.runnerOf(r.Context(), &v.Spec)
		out.Isolated, out.Lacks = own.Isolated, lacks(own, &v.Spec)
	}
	for _, v := range slices.Backward(f.Versions) {
		out.Versions = append(out.Versions, *v)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		out.Aliases = append(out.Aliases, f.Aliases[name])
	}
	out.Error, out.Troubles, out.Follows = a.imageTrouble(f.Live()), a.troubles(f.Name), a.follows(f)
	positions, err := a.positionsOf(r.Context(), f.Name)
	if err != nil {
		return nil, err
	}
	for _, t := range f.Triggers {
		out.Triggers = append(out.Triggers, wireTrigger(t, positions))
	}
	if out.Instances == nil {
		out.Instances = []wire.Instance{}
	}
	return out, nil
}

// listTriggers is all triggers at once: what listens to a topic is asked of all functions.
func (a *API) listTriggers(r *http.Request, q query) (any, error) {
	out := wire.TriggerList{Triggers: []wire.FunctionTrigger{}}
	topic := q.text("topic")
	positions, err := a.positionsOf(r.Context(), "")
	if err != nil {
		return nil, err
	}
	for _, f := range a.catalog.View().Functions() {
		for _, t := range f.Triggers {
			if topic != "" && t.Topic != topic {
				continue
			}
			out.Triggers = append(out.Triggers, wire.FunctionTrigger{Function: f.Name, Trigger: wireTrigger(t, positions)})
		}
	}
	return out, nil
}

// triggerPositions is how far triggers are, and which topics there are.
type triggerPositions struct {
	lag    map[TriggerRef]Lag
	lost   map[TriggerRef]int64
	topics map[string]bool
}

// positionsOf asks for those of a function's triggers at once, "" = of all.
func (a *API) positionsOf(ctx context.Context, fn string) (p triggerPositions, err error) {
	p.lag, _ = a.dispatcher.Lag(ctx, fn) // as in listFunctions
	if p.lost, err = a.lost(fn); err != nil {
		return p, err
	}
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return p, fmt.Errorf("list topics: %w", err)
	}
	p.topics = make(map[string]bool, len(topics))
	for _, t := range topics {
		p.topics[t.Name] = true
	}
	return p, nil
}

func wireTrigger(t *catalog.Trigger, p triggerPositions) wire.Trigger {
	ref := TriggerRef{t.Function, t.Name}
	w := wire.Trigger{Trigger: t.Trigger, Paused: t.Paused, PausedKeys: len(t.PausedKeys), Max: t.Max}
	if lag, ok := p.lag[ref]; ok && t.Route == nil {
		w.Lag, w.LagPartial = &lag.Events, lag.Partial
	}
	if t.Topic != "" {
		w.Lost = p.lost[ref]
	}
	w.Error = troubleOf(t, p.topics)
	return w
}

// lacks is what of a whole fence a function does not have.
func lacks(r wire.Runner, spec *function.Spec) []string {
	if r.Isolated && spec.Network == function.NetworkHost {
		return append([]string{"a network of its own"}, r.Lacks...)
	}
	return r.Lacks
}

// fence is what fences a function here, or why that cannot be had.
func (a *API) fence(ctx context.Context, spec *function.Spec) (wire.Runner, error) {
	if spec.Runner == "" {
		return a.node(ctx).Runner, nil
	}
	return a.runner(ctx, spec.Runner)
}

// runnerOf is what fences a function here. One whose runner cannot be had does not run: that is what its fence lacks.
func (a *API) runnerOf(ctx context.Context, spec *function.Spec) wire.Runner {
	r, err := a.fence(ctx, spec)
	if err != nil {
		return wire.Runner{Name: spec.Runner, Isolated: true, Lacks: []string{"its runner " + spec.Runner}}
	}
	return r
}

// instances groups the live instances by function.
func (a *API) instances() map[string][]wire.Instance {
	by := map[string][]wire.Instance{}
	for _, i := range a.fleet.Instances() {
		by[i.Function] = append(by[i.Function], i)
	}
	return by
}

func (a *API) removeFunction(r *http.Request, _ query) (any, error) {
	out, err := a.Remove(r.Context(), r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Remove takes a function away, with its versions, triggers and their progress.
func (a *API) Remove(ctx context.Context, name string) (out wire.Removed, err error) {
	f, err := a.catalog.View().Function(name)
	if err != nil {
		return out, err
	}
	out.Function = f.Name
	for _, lag := range a.waiting(ctx, f) {
		out.Waiting += lag
	}
	_, err = a.catalog.Submit(ctx, catalog.Remove{Function: f.Name})
	return out, err
}

// RemoveVersion takes one version of a function away that nothing needs.
func (a *API) RemoveVersion(ctx context.Context, name string, version int) error {
	f, err := a.catalog.View().Function(name)
	if err != nil {
		return err
	}
	if _, err := a.catalog.View().VersionNumber(f.Name, version); err == nil && a.callsOn(ctx, f.Name)(version) {
		return fault.New(fault.Conflict, "asynchronous calls wait for version %d of %s", version, f.Name).WithHint("wait until they are done: dalamb runs %s lists them", f.Name)
	}
	_, err = a.catalog.Submit(ctx, catalog.RemoveVersion{Function: f.Name, Version: version, Needed: a.deadLettersOn(ctx, f.Name)})
	return err
}

// waiting is how many events each trigger of a function has not finished, by the trigger's name.
func (a *API) waiting(ctx context.Context, f *catalog.Function) map[string]int64 {
	out := map[string]int64{}
	lags, _ := a.dispatcher.Lag(ctx, f.Name) // what is known is told
	for _, t := range f.Triggers {
		if t.Route == nil {
			out[t.Name] = lags[TriggerRef{f.Name, t.Name}].Events
		}
	}
	return out
}

func (a *API) pauseTrigger(r *http.Request, _ query) (any, error)  { return a.setPaused(r, true) }
func (a *API) resumeTrigger(r *http.Request, _ query) (any, error) { return a.setPaused(r, false) }

func (a *API) setPaused(r *http.Request, paused bool) (any, error) {
	t, err := a.topicTrigger(r)
	if err != nil {
		return nil, err
	}
	fn, name := t.Function, t.Name
	if t.Paused != paused {
		if _, err := a.catalog.Submit(r.Context(), catalog.Pause{Function: fn, Trigger: name, Paused: paused}); err != nil {
			return nil, err
		}
	}
	return wire.TriggerState{Function: fn, Trigger: name, Paused: paused}, nil
}
