package catalog

import (
	"fmt"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// keptRollouts is how many roll-outs of one function are known that are over.
const keptRollouts = 20

// rollout folds an event of a roll-out of f, which is the fold's own fresh copy, or says that it is not accepted.
func (s *state) rollout(f *Function, typ string, p payload, b birth) bool {
	if p.Rollout == nil || p.Alias == nil {
		return false
	}
	if typ == event.TypeRolloutStarted {
		return s.startRollout(f, p, b)
	}
	i := slices.IndexFunc(f.Rollouts, func(r *Rollout) bool { return r.ID == p.Rollout.ID })
	if i < 0 || !f.Rollouts[i].Active() {
		return false
	}
	r := *f.Rollouts[i]
	ended := false
	switch typ {
	case event.TypeRolloutStepped:
		if r.Step != p.Rollout.Step || r.Step >= len(r.Weights()) {
			return false
		}
		r.Taken = append(slices.Clone(r.Taken), RolloutStep{At: b.at, Weight: r.Weights()[r.Step], Facts: p.Rollout.Facts})
		r.Step, r.Since = r.Step+1, b.at
	case event.TypeRolloutFinished, event.TypeRolloutFailed:
		ended = true
		r.State = p.Rollout.State
		r.Ended = &RolloutEnd{At: b.at, Gate: p.Rollout.Gate, Reason: p.Rollout.Reason, Facts: p.Rollout.Facts, By: b.by}
		if r.State == function.RolloutSucceeded {
			f.delivered(r.Alias, r.Deliverer)
		}
	case event.TypeRolloutPaused:
		r.State = function.RolloutPaused
	case event.TypeRolloutResumed:
		r.State, r.Since = function.RolloutRunning, b.at
	}
	f.Rollouts[i] = &r
	alias := *p.Alias
	if ended {
		alias = f.next(alias, b)
	}
	p.Alias = &alias
	s.shift(f, p, b)
	f.forgetRollouts()
	return true
}

func (s *state) startRollout(f *Function, p payload, b birth) bool {
	if p.Rollout.Rules == nil || f.version(p.Rollout.To) == nil {
		return false
	}
	name, newer := p.Alias.Name, fmt.Sprintf("version %d was deployed", p.Rollout.To)
	r := &Rollout{
		Rollout: *p.Rollout.Rules, ID: b.offset, Function: f.Name, Alias: name, To: p.Rollout.To, Deliverer: p.Rollout.Deliverer,
		State: function.RolloutQueued, Started: b.at, By: b.by,
	}
	if f.rollout(name) != nil && r.OnNewer == function.OnNewerQueue {
		f.overtake(name, function.RolloutQueued, newer, b)
		f.Rollouts = append(f.Rollouts, r)
		f.Last = b.offset
		s.functions[f.Name] = f
		return true
	}
	f.overtake(name, "", newer, b)
	r.begin(p.Rollout.From, b)
	f.Rollouts = append(f.Rollouts, r)
	s.shift(f, p, b)
	f.forgetRollouts()
	return true
}

func (r *Rollout) begin(from int, b birth) {
	r.State, r.From, r.Began, r.Since = function.RolloutRunning, from, b.at, b.at
}

// overtake ends the roll-outs of an alias that have not ended, or those in one state alone, because the alias goes elsewhere. f is
// the fold's own fresh copy.
func (f *Function) overtake(alias string, only function.RolloutState, reason string, b birth) {
	for i, r := range f.Rollouts {
		if r.Alias == alias && r.Ended == nil && (only == "" || r.State == only) {
			f.Rollouts[i] = r.superseded(reason, b)
		}
	}
}

// moved ends the roll-outs of an alias that somebody has moved: who moved it back to the old version alone, has ended that roll-out and no more. f
// is the fold's own fresh copy.
func (f *Function) moved(to *function.Alias, b birth) {
	for i, r := range f.Rollouts {
		if r.Alias == to.Name && r.Ended == nil && r.From != 0 && r.From == to.Primary && len(to.Weights) == 0 {
			f.Rollouts[i] = r.over(function.RolloutAborted, "the alias was moved back by hand", b)
		}
	}
	f.overtake(to.Name, "", "the alias was moved by hand", b)
}

func (r *Rollout) superseded(reason string, b birth) *Rollout {
	return r.over(function.RolloutSuperseded, reason, b)
}

func (r *Rollout) over(state function.RolloutState, reason string, b birth) *Rollout {
	over := *r
	over.State, over.Ended = state, &RolloutEnd{At: b.at, Reason: reason, By: b.by}
	return &over
}

// next begins the roll-out that waited for the end of the one before it, and returns what the alias is then. f is the fold's own fresh copy.
func (f *Function) next(alias function.Alias, b birth) function.Alias {
	for i, r := range f.Rollouts {
		switch {
		case r.Alias != alias.Name || r.State != function.RolloutQueued:
		case f.version(r.To) == nil:
			f.Rollouts[i] = r.superseded("its version is not kept any more", b)
		case r.To == alias.Primary:
			f.Rollouts[i] = r.superseded("the alias points at its version already", b)
		default:
			begun := *r
			begun.begin(alias.Primary, b)
			f.Rollouts[i] = &begun
			alias.Weights = map[int]int{r.To: 0}
			return alias
		}
	}
	return alias
}

// forgetRollouts leaves out the oldest of those that are over. f is the fold's own fresh copy.
func (f *Function) forgetRollouts() {
	over := 0
	for i := len(f.Rollouts) - 1; i >= 0; i-- {
		if f.Rollouts[i].Ended == nil {
			continue
		}
		if over++; over > keptRollouts {
			f.Rollouts = slices.Delete(f.Rollouts, i, i+1)
		}
	}
}
