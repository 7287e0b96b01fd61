package api

import (
	"context"
	"slices"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// mayRedrive refuses a redrive of functions that who asks has no right over; nothing of it is done then.
func (a *API) mayRedrive(ctx context.Context, req *wire.Redrive) error {
	who := access.From(ctx)
	switch {
	case len(req.IDs) > 0:
		return a.mayOperate(ctx, req.IDs)
	case req.Function != "":
		return who.Over(access.Operate, req.Function)
	case who.Whole():
		return nil
	}
	// What is selected is looked for once more when the job runs: what dies meanwhile may be of any function.
	return fault.New(fault.Denied, "the %s is for some functions alone, and this selects dead letters of all", who).WithHint("say of which function, or name them by their ids")
}

// mayOperate refuses dead letters that are of functions over which who asks has no right, and says which those are.
func (a *API) mayOperate(ctx context.Context, ids []string) error {
	var functions []string
	for _, id := range ids {
		d, err := a.deadLetter(ctx, id)
		if err != nil {
			return err
		}
		functions = append(functions, d.Run.Function)
	}
	slices.Sort(functions)
	return access.From(ctx).Over(access.Operate, slices.Compact(functions)...)
}
