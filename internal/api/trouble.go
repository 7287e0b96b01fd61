package api

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// troubleOf says why a trigger cannot run; "" = it can.
func (a *API) troubleOf(ctx context.Context, t *catalog.Trigger) (string, error) {
	if t.Err != nil {
		return t.Err.Error(), nil
	}
	if t.Topic == "" {
		return "", nil
	}
	_, err := a.topic(ctx, t.Topic)
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Sprintf("its topic %q is not there any more", t.Topic), nil
	}
	return "", err
}

// lost is how many offsets of its topic retention took before a trigger had looked at them, as far as runs are kept: of a function's triggers, "" = of all.
func (a *API) lost(fn string) (map[TriggerRef]int64, error) {
	lost := map[TriggerRef]int64{}
	for q := (history.Query{Function: fn, State: function.RunExpired, Limit: history.MaxLimit}); ; {
		page, err := a.history.Runs(q)
		if err != nil {
			return nil, err
		}
		for _, run := range page.Rows {
			lost[TriggerRef{run.Function, run.Trigger}] += max(1, run.Lost)
		}
		if q.After = page.Next; q.After == "" {
			return lost, nil
		}
	}
}
