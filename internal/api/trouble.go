package api

import (
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// troubleOf says why a trigger cannot run where these topics are there; "" = it can.
func troubleOf(t *catalog.Trigger, topics map[string]bool) string {
	switch {
	case t.Err != nil:
		return t.Err.Error()
	case t.Topic != "" && !topics[t.Topic]:
		return fmt.Sprintf("its topic %q is not there any more", t.Topic)
	}
	return ""
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
