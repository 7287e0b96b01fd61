package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Ticks is what the API needs of source/cron.
type Ticks interface {
	// Last returns when each trigger's schedule has made its newest tick, by the plan's id.
	Last(ctx context.Context) (map[int64]time.Time, error)
}

// nextShown is how many planned times are shown.
const nextShown = 3

func (a *API) listSchedules(r *http.Request, _ query) (any, error) {
	last, err := a.ticks.Last(r.Context())
	if err != nil {
		return nil, err
	}
	out := wire.ScheduleList{Schedules: []wire.Schedule{}}
	for _, f := range a.catalog.View().Functions() {
		for _, s := range a.schedulesOf(f) {
			s.wire.Last = last[s.plan]
			out.Schedules = append(out.Schedules, s.wire)
		}
	}
	return out, nil
}

type planned struct {
	wire wire.Schedule
	plan int64
}

// schedulesOf lists the schedules of a function, without when they ticked last.
func (a *API) schedulesOf(f *catalog.Function) []planned {
	var out []planned
	for _, t := range f.Triggers {
		if t.Plan == nil {
			continue
		}
		s := wire.Schedule{
			Function: f.Name, Trigger: t.Name, Schedule: t.Schedule, Timezone: t.Timezone, Jitter: t.Jitter, CatchUp: t.CatchUp, Paused: t.Paused,
			Next: []time.Time{},
		}
		if plan, err := t.Trigger.Plan(); err == nil && !t.Paused {
			loc, err := time.LoadLocation(t.Timezone)
			if err != nil {
				loc = time.UTC
			}
			for at := plan.Next(t.Plan.From, a.now()); !at.IsZero() && len(s.Next) < nextShown; at = plan.Next(t.Plan.From, at) {
				s.Next = append(s.Next, at.In(loc))
			}
		}
		out = append(out, planned{wire: s, plan: t.Plan.ID})
	}
	return out
}

// tellSchedules says when what was deployed will run, where triggers follow it.
func (a *API) tellSchedules(d *wire.Deployed) {
	f, err := a.catalog.View().Function(d.Function)
	if err != nil || d.Alias != function.LiveAlias {
		return
	}
	for _, s := range a.schedulesOf(f) {
		d.Schedules = append(d.Schedules, s.wire)
	}
}

// checkSchedules refuses a schedule all of whose times have passed, unless the function has it already: then they may be behind it.
func (a *API) checkSchedules(spec *function.Spec) error {
	for _, t := range spec.Triggers {
		if t.Schedule == "" {
			continue
		}
		plan, err := t.Plan()
		if err != nil {
			return within(spec, t, fault.New(fault.Invalid, "%w", err))
		}
		now := a.now()
		if !plan.Next(now, now).IsZero() {
			continue
		}
		if old, err := a.catalog.View().Trigger(spec.Name, t.Name); err == nil && old.Schedule == t.Schedule && old.Timezone == t.Timezone {
			continue
		}
		return within(spec, t, fault.New(fault.Invalid, "schedule: %q is in the past", t.Schedule).WithHint("it is %s now", now.UTC().Format(time.RFC3339)))
	}
	return nil
}
