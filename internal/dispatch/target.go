package dispatch

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// target is what runs an attempt.
type target struct {
	alias   string
	version int    // 0 = by the alias
	note    string // what there is to tell of the choice
}

// aliasPatience is for how long a call waits for an alias that this node does not know (yet): it may be older than the call.
const aliasPatience = time.Minute

// target says what runs w's next attempt: the version that is asked for, the one that the run began with where the trigger wants
// that, or the alias's. It settles w when that is no more.
func (s invoke) target(w *work) (target, error) {
	to := target{alias: function.LiveAlias}
	if r := w.trigger.Replay; r != nil {
		to.version = r.Version
	}
	if r := w.request; r != nil {
		to.alias, to.version = cmp.Or(r.Alias, to.alias), r.Version
	}
	fn := w.trigger.Function
	f, err := s.view().Function(fn)
	if err != nil {
		return to, fmt.Errorf("choose a version: %w", err)
	}
	if to.version != 0 {
		if f.Gone(to.version) {
			w.condition = conditionNoRetry
			w.settle(function.RunDead, "version %d of %s, which was asked for, is not there any more: it was removed, or newer ones took its place (keep)", to.version, fn)
		}
		return to, nil
	}
	if began := begunOn(w); began != 0 && w.rules.RetryOn == function.RetryOnSame {
		if !f.Gone(began) {
			to.version = began
			return to, nil
		}
		to.note = fmt.Sprintf("version %d, with which the run began, was let go (keep): the newest takes it", began)
	}
	a, err := s.view().Alias(fn, to.alias)
	if fault.KindOf(err) == fault.NotFound && s.now().Sub(w.appended) > aliasPatience {
		w.condition = conditionNoRetry
		w.settle(function.RunDead, "the alias %s of %s, which was asked for, is not there any more", to.alias, fn)
		return to, nil
	}
	if err != nil {
		return to, fmt.Errorf("choose a version: %w", err)
	}
	if a.Shared() {
		to.version = a.Pick(function.Ticket(fn, w.stickyKey()))
	}
	return to, nil
}

// begunOn is the version that the run began with, as far as that was kept; 0 = it begins, or that is not known.
func begunOn(w *work) int {
	if len(w.before) == 0 && w.request != nil {
		return function.LastVersion(w.request.Attempts)
	}
	return function.LastVersion(w.before)
}

// stickyKey decides which version a run meets while the alias has several: the event's key, so that a key stays on one, else the run
// itself, so that a run does.
func (w *work) stickyKey() string {
	e := w.input
	if e == nil {
		e = w.cause
	}
	return cmp.Or(e.Key(), w.run)
}

// group are the works of a batch that one version runs.
type group struct {
	target
	ws []*work
}

// groups takes a batch apart by the versions that its events meet, each in the log's order. What has to run strictly in that order
// stays together, on the version that the first event meets.
func (s invoke) groups(ws []*work) ([]group, error) {
	var gs []group
	for _, w := range ws {
		if len(gs) == 1 && w.rules.Order == function.OrderPartition {
			gs[0].ws = append(gs[0].ws, w)
			continue
		}
		to, err := s.target(w)
		if err != nil {
			return nil, err
		}
		if w.settled() {
			continue
		}
		i := 0
		for i < len(gs) && gs[i].target != to {
			i++
		}
		if i == len(gs) {
			gs = append(gs, group{target: to})
		}
		gs[i].ws = append(gs[i].ws, w)
	}
	return gs, nil
}
