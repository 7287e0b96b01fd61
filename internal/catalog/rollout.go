package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Rollout is a roll-out as it stands. It never changes; the fold replaces it. The alias's primary stays the old version until the
// roll-out has succeeded: to go back is to take a weight away, and triggers and routes are the old version's until then.
type Rollout struct {
	function.Rollout
	ID        int64                 `json:"id"` // control offset of its start
	Function  string                `json:"function"`
	Alias     string                `json:"alias"`
	From      int                   `json:"from"` // version; 0 while it is queued
	To        int                   `json:"to"`
	Deliverer *function.Origin      `json:"deliverer,omitempty"` // see Deliverer
	State     function.RolloutState `json:"state"`
	Started   time.Time             `json:"started"`        // when it was asked for
	Began     time.Time             `json:"began,omitzero"` // when it began, which is later for one that was queued
	Step      int                   `json:"step"`           // that it is in, counted from 1; 0 = no traffic has moved
	Since     time.Time             `json:"since,omitzero"` // when that step began, or went on after a pause
	Taken     []RolloutStep         `json:"taken,omitempty"`
	Ended     *RolloutEnd           `json:"ended,omitempty"`
	By        *function.Identity    `json:"by,omitempty"` // who asked for it; nil = not known
}

// RolloutStep is a step that was taken.
type RolloutStep struct {
	At     time.Time              `json:"at"`
	Weight int                    `json:"weight"`
	Facts  *function.RolloutFacts `json:"facts,omitempty"` // of the step before it, by which it was judged
}

// RolloutEnd is how a roll-out ended.
type RolloutEnd struct {
	At     time.Time              `json:"at"`
	Gate   function.Gate          `json:"gate,omitempty"` // that did not hold
	Reason string                 `json:"reason,omitempty"`
	Facts  *function.RolloutFacts `json:"facts,omitempty"` // of the last step
	By     *function.Identity     `json:"by,omitempty"`    // who ended it, which may be the node; nil = not known
}

// Active says whether a roll-out has begun and not ended.
func (r *Rollout) Active() bool {
	return r.State == function.RolloutRunning || r.State == function.RolloutPaused
}

// Weight is what the new version gets now, or got by the end, in parts of 100.
func (r *Rollout) Weight() int {
	if r.State == function.RolloutSucceeded {
		return 100
	}
	if r.Step == 0 || r.Ended != nil {
		return 0
	}
	return r.Weights()[r.Step-1]
}

// Shadowing says whether it is in the step in which the new version gets copies alone.
func (r *Rollout) Shadowing() bool { return r.Active() && r.Rollout.Shadowing(r.Step) }

// Moved is when the first traffic moved; zero = none has.
func (r *Rollout) Moved() time.Time {
	first := 0
	if r.Shadow != nil {
		first = 1
	}
	if len(r.Taken) <= first {
		return time.Time{}
	}
	return r.Taken[first].At
}

// StartRollout starts a roll-out of a version that is there already. StepRollout takes the step after Step. EndRollout ends one:
// succeeded, the alias is the new version's; else it is the old one's as before. HoldRollout pauses one, or lets it go on.
type (
	StartRollout struct {
		Function, Alias string
		Version         int
		Deliverer       *function.Origin // see Deliverer
		Rollout         function.Rollout
	}
	StepRollout struct {
		Function string
		ID       int64
		Step     int // that is over
		Facts    *function.RolloutFacts
	}
	EndRollout struct {
		Function string
		ID       int64
		State    function.RolloutState
		Gate     function.Gate
		Reason   string
		Facts    *function.RolloutFacts
	}
	HoldRollout struct {
		Function string
		ID       int64
		Paused   bool
	}
)

// rolloutPayload is what the events of a roll-out say beside what all control events say. The alias in the same event is the alias as
// it is from then on.
type rolloutPayload struct {
	ID        int64                  `json:"id,omitempty"` // of all but the start
	From      int                    `json:"from,omitempty"`
	To        int                    `json:"to,omitempty"`
	Deliverer *function.Origin       `json:"deliverer,omitempty"` // of the start
	Rules     *function.Rollout      `json:"rules,omitempty"`     // of the start
	Step      int                    `json:"step,omitempty"`      // that is over
	State     function.RolloutState  `json:"state,omitempty"`     // of the end
	Gate      function.Gate          `json:"gate,omitempty"`
	Reason    string                 `json:"reason,omitempty"`
	Facts     *function.RolloutFacts `json:"facts,omitempty"`
}

func (s StartRollout) event(_ context.Context, at scene) (*event.Event, error) {
	f, err := at.view.Function(s.Function)
	if err != nil {
		return nil, err
	}
	if f.version(s.Version) == nil {
		return nil, fault.New(fault.NotFound, "function %q has no version %d", s.Function, s.Version)
	}
	alias, ok := f.Aliases[s.Alias]
	if !ok || f.version(alias.Primary) == nil {
		return nil, fault.New(fault.NotFound, "function %q has no version that %s points at, to roll out from", s.Function, s.Alias)
	}
	p := payload{Function: s.Function, Expects: at.view.expects(s.Function), Rollout: &rolloutPayload{From: alias.Primary, To: s.Version, Deliverer: s.Deliverer, Rules: &s.Rollout}}
	if f.rollout(s.Alias) != nil && s.Rollout.OnNewer == function.OnNewerQueue {
		p.Alias = &alias
	} else {
		p.Alias = &function.Alias{Name: s.Alias, Primary: alias.Primary, Weights: map[int]int{s.Version: 0}}
	}
	if alias.Primary == s.Version && p.Alias.Weights != nil {
		return nil, fault.New(fault.Conflict, "%s points at version %d of %q already", s.Alias, s.Version, s.Function)
	}
	return p.event(event.TypeRolloutStarted)
}

// underway returns the roll-out with an id that has begun and not ended, and the payload of an event about it.
func (at scene) underway(fn string, id int64) (*Rollout, payload, error) {
	f, err := at.view.Function(fn)
	if err != nil {
		return nil, payload{}, err
	}
	r := f.rolloutByID(id)
	if r == nil || !r.Active() {
		return nil, payload{}, fault.New(fault.NotFound, "this roll-out of %q is not under way", fn)
	}
	alias := f.Aliases[r.Alias]
	p := payload{Function: fn, Expects: at.view.expects(fn), Alias: &alias, Rollout: &rolloutPayload{ID: id, From: r.From, To: r.To}}
	return r, p, nil
}

func (s StepRollout) event(_ context.Context, at scene) (*event.Event, error) {
	r, p, err := at.underway(s.Function, s.ID)
	if err != nil {
		return nil, err
	}
	weights := r.Weights()
	if r.Step != s.Step || r.State != function.RolloutRunning || s.Step >= len(weights) {
		return nil, fault.New(fault.Conflict, "the roll-out of %q is in step %d, and not at the end of step %d", s.Function, r.Step, s.Step)
	}
	p.Alias = &function.Alias{Name: r.Alias, Primary: r.From, Weights: map[int]int{r.To: weights[s.Step]}}
	p.Rollout.Step, p.Rollout.Facts = s.Step, s.Facts
	return p.event(event.TypeRolloutStepped)
}

func (e EndRollout) event(ctx context.Context, at scene) (*event.Event, error) {
	r, p, err := at.underway(e.Function, e.ID)
	if err != nil {
		return nil, err
	}
	typ := event.TypeRolloutFinished
	if e.State == function.RolloutFailed {
		typ = event.TypeRolloutFailed
	}
	rollout, fn := p.Rollout, at.view.functions[e.Function]
	primary := r.From
	if e.State == function.RolloutSucceeded {
		primary = r.To
		expects := p.Expects
		if p, err = at.places(ctx, e.Function, fn.version(primary).Spec.Triggers); err != nil {
			return nil, err
		}
		p.Function, p.Expects = e.Function, expects
	}
	p.Alias = &function.Alias{Name: r.Alias, Primary: primary}
	rollout.State, rollout.Gate, rollout.Reason, rollout.Facts = e.State, e.Gate, e.Reason, e.Facts
	p.Rollout = rollout
	return p.event(typ)
}

func (h HoldRollout) event(_ context.Context, at scene) (*event.Event, error) {
	r, p, err := at.underway(h.Function, h.ID)
	if err != nil {
		return nil, err
	}
	typ, state := event.TypeRolloutResumed, function.RolloutRunning
	if h.Paused {
		typ, state = event.TypeRolloutPaused, function.RolloutPaused
	}
	if r.State == state {
		return nil, fault.New(fault.Conflict, "the roll-out of %q is %s already", h.Function, state)
	}
	return p.event(typ)
}

// rollout is the roll-out of an alias that has begun and not ended; nil = there is none.
func (f *Function) rollout(alias string) *Rollout {
	for _, r := range f.Rollouts {
		if r.Alias == alias && r.Active() {
			return r
		}
	}
	return nil
}

func (f *Function) rolloutByID(id int64) *Rollout {
	for _, r := range f.Rollouts {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// Rollout is the roll-out of an alias that is under way, else the newest; NotFound when there is none.
func (v *View) Rollout(fn, alias string) (*Rollout, error) {
	f, err := v.Function(fn)
	if err != nil {
		return nil, err
	}
	if r := f.rollout(alias); r != nil {
		return r, nil
	}
	for _, r := range slices.Backward(f.Rollouts) {
		if r.Alias == alias {
			return r, nil
		}
	}
	return nil, fault.New(fault.NotFound, "there was no roll-out of %q on %s", fn, alias).
		WithHint("rollout: in the manifest, or dalamb deploy --strategy, makes one of a deploy")
}

// RolloutByID is one roll-out; nil = there is none, or none any more.
func (v *View) RolloutByID(fn string, id int64) *Rollout {
	f := v.functions[fn]
	if f == nil {
		return nil
	}
	return f.rolloutByID(id)
}

// Rollouts lists the roll-outs of all functions, the oldest of each first.
func (v *View) Rollouts() []*Rollout {
	var rs []*Rollout
	for _, f := range v.Functions() {
		rs = append(rs, f.Rollouts...)
	}
	return rs
}

// Prepared is a version of which an instance is kept during a roll-out, on each node, or as many as Like has there.
type Prepared struct{ Version, Like *function.Version }

// Prepared lists what is kept for the roll-outs that are under way.
func (v *View) Prepared() []Prepared {
	var all []Prepared
	for _, f := range v.Functions() {
		for _, r := range f.Rollouts {
			from, to := f.version(r.From), f.version(r.To)
			switch {
			case !r.Active() || from == nil || to == nil:
			case r.Strategy == function.StrategyBlueGreen:
				all = append(all, Prepared{to, from}, Prepared{from, from})
			default:
				all = append(all, Prepared{Version: to})
			}
		}
	}
	return all
}
