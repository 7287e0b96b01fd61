package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listRuns(_ *http.Request, q query) (any, error) {
	hq, err := a.historyQuery(q)
	if err != nil {
		return nil, err
	}
	if s := q.text("state"); s != "" {
		if !slices.Contains(runStates(), s) {
			return nil, fault.New(fault.Invalid, "query parameter \"state\": %q is not a state of a run", s).WithHint("one of %s", strings.Join(runStates(), ", "))
		}
		hq.State = function.RunState(s)
	}
	hq.EventID = q.text("event")
	page, err := a.history.Runs(hq)
	if err != nil {
		return nil, err
	}
	list := wire.RunList{Runs: []function.Run{}, Next: page.Next}
	for _, r := range page.Rows {
		r.Answer = r.Answer.Bare() // many together would be more than a list can be
		list.Runs = append(list.Runs, *r)
	}
	return list, nil
}

func (a *API) countRuns(*http.Request, query) (any, error) {
	counts := a.history.Counts()
	out := wire.RunCounts{Since: counts.Since, Triggers: []wire.TriggerRuns{}, Others: counts.Others}
	for _, t := range counts.Triggers {
		out.Triggers = append(out.Triggers, wire.TriggerRuns(t))
	}
	return out, nil
}

// historyQuery reads the parameters that runs and dead letters share.
func (a *API) historyQuery(q query) (history.Query, error) {
	hq := history.Query{Function: q.text("function"), Env: q.text("env"), Trigger: q.text("trigger"), After: q.text("after")}
	limit, err := q.number("limit", history.DefaultLimit, 1, history.MaxLimit)
	if err != nil {
		return hq, err
	}
	hq.Limit = int(limit)
	if hq.Since, err = q.time("since", a.now()); err != nil {
		return hq, err
	}
	if hq.Before, err = q.time("before", a.now()); err != nil {
		return hq, err
	}
	return hq, nil
}

// triedBy says where the versions came from that tried a run.
func (a *API) triedBy(run *function.Run) (all []wire.RunVersion) {
	view := a.catalog.View()
	for _, t := range run.Attempts {
		v, err := view.VersionNumber(run.Function, t.Version)
		if err != nil || v.Origin == nil || slices.ContainsFunc(all, func(o wire.RunVersion) bool { return o.Number == v.Number }) {
			continue // it was let go, or nobody said
		}
		all = append(all, wire.RunVersion{Number: v.Number, Origin: v.Origin})
	}
	return all
}

func (a *API) getRun(r *http.Request, _ query) (any, error) {
	id, err := a.runID(r.Context(), r.PathValue("run"))
	if err != nil {
		return nil, err
	}
	run, err := a.history.RunByID(id)
	if err != nil {
		return nil, err
	}
	out := wire.RunDetail{Run: *run, Versions: a.triedBy(run)}
	e, err := a.eventOf(r.Context(), run.Event)
	if err != nil {
		return nil, err
	}
	switch {
	case e != nil:
		if out.Event, err = e.MarshalJSON(); err != nil {
			return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
		}
	case run.State == function.RunDead:
		// A dead letter keeps its event's bytes, so that retention cannot take them.
		if d, err := a.history.WholeDeadLetter(r.Context(), run.ID); err == nil {
			out.Event = d.Event
		}
	}
	return out, nil
}
