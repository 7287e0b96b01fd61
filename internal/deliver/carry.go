package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// carry carries a roll-out out until it has ended or ctx is done. What goes wrong on dalamb's side is tried again: it is no verdict.
func (k *Keeper) carry(ctx context.Context, r *catalog.Rollout) {
	fn, id := r.Function, r.ID
	defer k.know(id, nil)
	m := &meter{log: k.o.Log, function: fn, now: k.o.Now}
	for {
		changed := k.o.Catalog.Changed()
		r := k.o.Catalog.View().RolloutByID(fn, id)
		if r == nil || !r.Active() {
			return
		}
		wait, err := k.advance(ctx, r, m)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if kind := fault.KindOf(err); kind != fault.Conflict && kind != fault.NotFound { // else somebody was first
				k.o.Logger.Warn("a roll-out waits", "function", fn, "version", r.To, "err", err)
			}
			wait = k.o.Every
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// breach is a gate that does not hold.
type breach struct {
	gate   function.Gate
	reason string
}

// advance does what is due in a roll-out, and says how long there is nothing to do then.
func (k *Keeper) advance(ctx context.Context, r *catalog.Rollout, m *meter) (time.Duration, error) {
	if r.Step == 0 {
		return k.open(ctx, r)
	}
	facts, err := m.measure(ctx, r)
	if err != nil {
		return 0, err
	}
	k.know(r.ID, facts)
	left := r.Since.Add(r.Hold(r.Step)).Sub(facts.Until) // what is judged at the end has all until then
	if r.State == function.RolloutPaused {
		left = k.o.Every
	}
	if b := breachOf(&r.Gates, facts, left <= 0); b != nil {
		return 0, k.fail(ctx, r, b, facts)
	}
	if left > 0 {
		return min(left, k.o.Every), nil
	}
	if facts.New.Invocations < int64(r.Gates.Sample) {
		switch r.TooFewIn(r.Step) {
		case function.TooFewWait:
			return k.o.Every, nil
		case function.TooFewFail:
			return 0, k.fail(ctx, r, tooFew(&r.Gates, facts), facts)
		}
	}
	if b, err := k.check(ctx, r, facts); err != nil || b != nil {
		if err != nil {
			return 0, err
		}
		return 0, k.fail(ctx, r, b, facts)
	}
	if r.Step < len(r.Weights()) {
		_, err = k.o.Catalog.Submit(ctx, catalog.StepRollout{Function: r.Function, ID: r.ID, Step: r.Step, Facts: facts})
		return 0, err
	}
	return 0, k.finish(ctx, r, facts)
}

// open makes the new version ready, and lets the first traffic come to it.
func (k *Keeper) open(ctx context.Context, r *catalog.Rollout) (time.Duration, error) {
	if r.State == function.RolloutPaused {
		return k.o.Every, nil
	}
	v, err := k.o.Catalog.View().VersionNumber(r.Function, r.To)
	if err != nil {
		return 0, err
	}
	left := r.Since.Add(r.Gates.Start.Std()).Sub(k.o.Now())
	limited, cancel := context.WithTimeout(ctx, max(left, 0))
	err = k.o.Fleet.Ready(limited, v)
	cancel()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.Is(err, fleet.ErrNoStart):
		return 0, k.fail(ctx, r, &breach{function.GateStart, err.Error()}, nil)
	case err != nil && left <= 0:
		reason := fmt.Sprintf("version %d was not ready within %s: %v", r.To, r.Gates.Start, err)
		return 0, k.fail(ctx, r, &breach{function.GateStart, reason}, nil)
	case err != nil:
		return 0, err
	}
	b, err := k.check(ctx, r, nil)
	if err != nil {
		return 0, err
	}
	if b != nil {
		return 0, k.fail(ctx, r, b, nil)
	}
	_, err = k.o.Catalog.Submit(ctx, catalog.StepRollout{Function: r.Function, ID: r.ID})
	return 0, err
}

// fail moves the traffic back.
func (k *Keeper) fail(ctx context.Context, r *catalog.Rollout, b *breach, facts *function.RolloutFacts) error {
	_, err := k.o.Catalog.Submit(ctx, catalog.EndRollout{
		Function: r.Function, ID: r.ID, State: function.RolloutFailed, Gate: b.gate, Reason: b.reason, Facts: facts,
	})
	if err == nil {
		k.o.Logger.Warn("a roll-out was rolled back", "function", r.Function, "version", r.To, "gate", b.gate, "err", b.reason)
	}
	return err
}

// finish makes the new version the alias's own. Where its triggers cannot begin, as on a topic that is gone, it goes back.
func (k *Keeper) finish(ctx context.Context, r *catalog.Rollout, facts *function.RolloutFacts) error {
	_, err := k.o.Catalog.Submit(ctx, catalog.EndRollout{Function: r.Function, ID: r.ID, State: function.RolloutSucceeded, Facts: facts})
	if err == nil || fault.KindOf(err) != fault.NotFound || k.o.Catalog.View().RolloutByID(r.Function, r.ID).Ended != nil {
		return err
	}
	return k.fail(ctx, r, &breach{function.GateStart, "its triggers cannot begin: " + err.Error()}, facts)
}
