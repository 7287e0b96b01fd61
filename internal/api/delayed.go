package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Delayed is what the API needs of source/delay.
type Delayed interface {
	// List returns the first "most" events that wait for topics that are wanted, the next one due first, and how many wait in all; of some topics alone, how many it returns.
	// A nil wanted is all topics.
	List(ctx context.Context, most int, wanted func(topic string) bool) ([]wire.Delayed, int, error)
	// Sealed counts the events that wait and have one of some seals.
	Sealed(ctx context.Context, mine func(seal string) bool) (int, error)
	// Cancel takes an event back. NotFound when it does not wait any more.
	Cancel(ctx context.Context, id string) error
}

// cancelPatience is how long a request waits for the node that can answer it.
const cancelPatience = 30 * time.Second

func (a *API) listDelayed(r *http.Request, q query) (any, error) {
	limit, err := q.number("limit", 100, 1, 1000)
	if err != nil {
		return nil, err
	}
	var out wire.DelayedList
	env := access.From(r.Context()).Environment
	if env == "" {
		out.Delayed, out.Total, err = a.delayed.List(r.Context(), int(limit), nil)
		return out, err
	}
	err = a.search(r.Context(), func(ctx context.Context) error {
		var err error
		out.Delayed, out.Total, err = a.delayed.List(ctx, int(limit), func(topic string) bool { return function.Within(env, topic) })
		return err
	})
	return out, err
}

func (a *API) cancelDelayed(r *http.Request, _ query) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), cancelPatience)
	defer cancel()
	return nil, a.delayed.Cancel(ctx, r.PathValue("id"))
}
