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

// lostOf is how many offsets of its topic retention took before a trigger had looked at them, as far as runs are kept.
func (a *API) lostOf(t *catalog.Trigger) (int64, error) {
	if t.Topic == "" {
		return 0, nil
	}
	lost := int64(0)
	for q := (history.Query{Function: t.Function, Trigger: t.Name, State: function.RunExpired, Limit: history.MaxLimit}); ; {
		page, err := a.history.Runs(q)
		if err != nil {
			return 0, err
		}
		for _, run := range page.Rows {
			lost += max(1, run.Lost)
		}
		if q.After = page.Next; q.After == "" {
			return lost, nil
		}
	}
}
