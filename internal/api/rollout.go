package api

import (
	"context"
	"math"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Rollouts is what the API needs of deliver.
type Rollouts interface {
	// Facts are what this node knows of the step that a roll-out is in; nil = nothing.
	Facts(id int64) *function.RolloutFacts
}

// rolls says whether a deploy is to be rolled out: what no alias points at yet has nothing to roll out from.
func rolls(view *catalog.View, req *wire.DeployRequest) bool {
	f, err := view.Function(req.Spec.Name)
	return err == nil && req.Spec.Rollout != nil && f.Aliases[req.Alias].Primary != 0
}

// rollOut starts a roll-out of a version that is there, unless one is under way already, or the alias points at it.
func (a *API) rollOut(ctx context.Context, req *wire.DeployRequest, out *wire.Deployed) error {
	f, err := a.catalog.View().Function(req.Spec.Name)
	if err != nil {
		return err
	}
	for _, r := range f.Rollouts {
		if r.Alias == req.Alias && r.To == out.Version && r.Ended == nil {
			out.Rollout = r.ID
			return nil
		}
	}
	if f.Aliases[req.Alias].Primary == out.Version {
		out.Moved, err = a.point(ctx, f, req, out.Version) // which ends one to elsewhere
		return err
	}
	view, err := a.catalog.Submit(ctx, catalog.StartRollout{Function: f.Name, Alias: req.Alias, Version: out.Version, Deliverer: catalog.Deliverer(req.Origin), Rollout: *req.Spec.Rollout})
	if err != nil {
		return err
	}
	if f, err = view.Function(f.Name); err != nil {
		return err // removed again at once by somebody else
	}
	for _, r := range f.Rollouts {
		if r.Alias == req.Alias && r.To == out.Version {
			out.Rollout = r.ID // the newest
		}
	}
	return nil
}

// point lets the alias of a deploy point at a version that is there already; moved is false where it did.
func (a *API) point(ctx context.Context, f *catalog.Function, req *wire.DeployRequest, version int) (moved bool, err error) {
	if at, ok := f.Aliases[req.Alias]; ok && at.Primary == version && len(at.Weights) == 0 {
		return false, nil
	}
	_, err = a.catalog.Submit(ctx, catalog.Shift{Function: f.Name, Alias: function.Alias{Name: req.Alias, Primary: version}, Deliverer: catalog.Deliverer(req.Origin)})
	return err == nil, err
}

func (a *API) listRollouts(*http.Request, query) (any, error) {
	list := wire.RolloutList{Rollouts: []wire.Rollout{}}
	all := slices.Clone(a.catalog.View().Rollouts())
	slices.SortFunc(all, func(a, b *catalog.Rollout) int { return int(b.ID - a.ID) })
	for _, r := range all {
		list.Rollouts = append(list.Rollouts, a.wireRollout(r))
	}
	return list, nil
}

// rollout finds the roll-out that a request names: by its id, or the one of an alias that is under way, else the newest.
func (a *API) rollout(r *http.Request, q query) (*catalog.Rollout, error) {
	fn, view := r.PathValue("name"), a.catalog.View()
	id, err := q.number("id", -1, 0, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	if id >= 0 {
		one := view.RolloutByID(fn, id)
		if one == nil {
			return nil, fault.New(fault.NotFound, "there is no roll-out %d of %q, or it is not known any more", id, fn)
		}
		return one, nil
	}
	alias := q.text("alias")
	if alias == "" {
		alias = function.LiveAlias
	}
	return view.Rollout(fn, alias)
}

func (a *API) getRollout(r *http.Request, q query) (any, error) {
	one, err := a.rollout(r, q)
	if err != nil {
		return nil, err
	}
	return a.wireRollout(one), nil
}

func (a *API) pauseRollout(r *http.Request, q query) (any, error) {
	return a.changeRollout(r, q, func(one *catalog.Rollout) catalog.Change {
		return catalog.HoldRollout{Function: one.Function, ID: one.ID, Paused: true}
	}, nil)
}

func (a *API) resumeRollout(r *http.Request, q query) (any, error) {
	return a.changeRollout(r, q, func(one *catalog.Rollout) catalog.Change {
		return catalog.HoldRollout{Function: one.Function, ID: one.ID}
	}, a.mayReturn)
}

func (a *API) abortRollout(r *http.Request, q query) (any, error) {
	return a.changeRollout(r, q, func(one *catalog.Rollout) catalog.Change {
		return catalog.EndRollout{Function: one.Function, ID: one.ID, State: function.RolloutAborted, Reason: "ended by hand", Facts: a.factsOf(one)}
	}, nil)
}

func (a *API) promoteRollout(r *http.Request, q query) (any, error) {
	return a.changeRollout(r, q, func(one *catalog.Rollout) catalog.Change {
		return catalog.EndRollout{Function: one.Function, ID: one.ID, State: function.RolloutSucceeded, Reason: "promoted by hand", Facts: a.factsOf(one)}
	}, a.mayReturn)
}

// rolloutTries is how often a roll-out is changed by hand where its own next step, or another writer, comes first.
const rolloutTries = 5

// changeRollout changes the roll-out that is under way, whatever step it is in by then: who aborts it must not be told to look again. may refuses the version
// that it leads to; nil = any is well.
func (a *API) changeRollout(r *http.Request, q query, change func(*catalog.Rollout) catalog.Change, may func(context.Context, *catalog.Function, int) error) (any, error) {
	one, err := a.rollout(r, q)
	if err != nil {
		return nil, err
	}
	if may != nil && one.Active() {
		f, err := a.catalog.View().Function(one.Function)
		if err != nil {
			return nil, err
		}
		if err := may(r.Context(), f, one.To); err != nil {
			return nil, err
		}
	}
	for left := rolloutTries - 1; ; left-- {
		if !one.Active() {
			return nil, fault.New(fault.Conflict, "the roll-out of %q to version %d is %s, and not under way", one.Function, one.To, one.State)
		}
		view, err := a.catalog.Submit(r.Context(), change(one))
		again := fault.KindOf(err) == fault.Conflict && left > 0
		if err != nil && !again {
			return nil, err
		}
		if again {
			view = a.catalog.View()
		}
		if one = view.RolloutByID(one.Function, one.ID); one == nil {
			return nil, fault.New(fault.NotFound, "function %q has been removed", r.PathValue("name"))
		}
		if !again {
			return a.wireRollout(one), nil
		}
	}
}

// factsOf is what this node knows of the step that a roll-out is in; nil = nothing.
func (a *API) factsOf(r *catalog.Rollout) *function.RolloutFacts {
	if a.rollouts == nil {
		return nil
	}
	return a.rollouts.Facts(r.ID)
}

func (a *API) wireRollout(r *catalog.Rollout) wire.Rollout {
	out := wire.Rollout{
		Rollout: r.Rollout, ID: r.ID, Function: r.Function, Alias: r.Alias, From: r.From, To: r.To, State: r.State,
		Started: r.Started, Began: r.Began, Step: r.Step, Weight: r.Weight(), Since: r.Since, By: r.By,
	}
	for i, s := range r.Taken {
		step := wire.RolloutStep{At: s.At, Weight: s.Weight}
		switch { // what a step was judged by stands with what came after it
		case i+1 < len(r.Taken):
			step.Facts = r.Taken[i+1].Facts
		case r.Ended != nil:
			step.Facts = r.Ended.Facts
		default:
			step.Facts = a.factsOf(r)
		}
		out.Taken = append(out.Taken, step)
	}
	if e := r.Ended; e != nil {
		out.Ended, out.Gate, out.Reason, out.EndedBy = e.At, e.Gate, e.Reason, e.By
	} else if r.State == function.RolloutRunning && r.Step > 0 {
		out.Next = r.Since.Add(r.Hold(r.Step))
	}
	return out
}
