package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// checkTries is how often a check is asked that gives no answer.
	checkTries = 3
	// shownAnswer is how much of an answer a reason shows, in bytes.
	shownAnswer = 200
)

// check asks the function that a roll-out names whether it may go on. One that gives no answer, again and again, has not said yes.
func (k *Keeper) check(ctx context.Context, r *catalog.Rollout, facts *function.RolloutFacts) (*breach, error) {
	name := r.Gates.Check
	if name == "" {
		return nil, nil
	}
	payload, err := json.Marshal(function.RolloutCheck{
		Function: r.Function, Alias: r.Alias, From: r.From, To: r.To, Strategy: r.Strategy, Step: r.Step, Weight: r.Weight(), Facts: facts,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the facts for %s: %w", name, err)
	}
	var reason string
	for n := 1; ; n++ {
		result, err := k.o.Caller.Call(ctx, name, payload)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil && result.Outcome == function.Succeeded {
			return verdict(name, result.Body), nil
		}
		switch {
		case fault.KindOf(err) == fault.NotFound && err != nil:
			return &breach{function.GateCheck, fmt.Sprintf("the function %q, which is to be asked, is not there", name)}, nil
		case err != nil:
			reason = err.Error()
		case result.Failure != nil:
			reason = result.Failure.Message
		default:
			reason = string(result.Outcome)
		}
		if n == checkTries {
			return &breach{function.GateCheck, fmt.Sprintf("%s gave no answer, %d times: %s", name, n, reason)}, nil
		}
		if !pause(ctx, k.o.Every) {
			return nil, ctx.Err()
		}
	}
}

// verdict reads what a check answered; nil = yes.
func verdict(name string, body []byte) *breach {
	var answer function.RolloutAnswer
	if err := json.Unmarshal(body, &answer); err != nil || answer.OK == nil {
		return &breach{function.GateCheck, fmt.Sprintf(`%s answered neither {"ok": true} nor {"ok": false}: %.*q`, name, shownAnswer, body)}
	}
	if *answer.OK {
		return nil
	}
	if answer.Reason == "" {
		answer.Reason = "no reason given"
	}
	return &breach{function.GateCheck, fmt.Sprintf("%s says no: %s", name, answer.Reason[:min(len(answer.Reason), 10*shownAnswer)])}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
