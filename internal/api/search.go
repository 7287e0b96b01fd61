package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of what reads much of the log for one answer.
const (
	maxSearches = 4 // at a time on this node; another one is told to come again
	searchTime  = 20 * time.Second
)

// bounded serves a question whose answer may need much of the log: only some at a time, so that they leave the node to its events, and each
// for so long. What they come by on the way is kept (catalog.Pasts), so that a repetition gets further.
func (a *API) bounded(serve func(*http.Request, query) (any, error)) func(*http.Request, query) (any, error) {
	return func(r *http.Request, q query) (out any, err error) {
		err = a.search(r.Context(), func(ctx context.Context) error {
			out, err = serve(r.WithContext(ctx), q)
			return err
		})
		return out, err
	}
}

// search runs one question within the bounds.
func (a *API) search(ctx context.Context, do func(context.Context) error) error {
	select {
	case a.searches <- struct{}{}:
		defer func() { <-a.searches }()
	default:
		return fault.New(fault.Unavailable, "%d questions that read much of the log are under way", maxSearches).WithHint("ask again in a moment")
	}
	within, stop := context.WithTimeout(ctx, searchTime)
	defer stop()
	err := do(within)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && within.Err() != nil {
		return fault.New(fault.Unavailable, "the answer was not found within %s", searchTime).
			WithHint("ask again: what was folded so far is kept; or say where to look, by --topic or TOPIC/PARTITION@OFFSET")
	}
	return err
}
