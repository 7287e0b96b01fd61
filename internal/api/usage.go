package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Usage is what the API needs of who counts what functions use.
type Usage interface {
	// Usage is what was used in the hours that begin from since on and before until.
	Usage(ctx context.Context, since, until time.Time) ([]function.Usage, error)
	// Lacking are the hours among them of which the log may have let go of records before they were counted.
	Lacking(ctx context.Context, since, until time.Time) ([]time.Time, error)
}

// mostUsage bounds the time of one answer.
const mostUsage = 400 * 24 * time.Hour

func (a *API) getUsage(r *http.Request, q query) (any, error) {
	now := time.Now()
	since, err := q.time("since", now)
	if err != nil {
		return nil, err
	}
	until, err := q.time("until", now)
	if err != nil {
		return nil, err
	}
	if until.IsZero() {
		until = now
	}
	if since.IsZero() {
		since = now.Add(-24 * time.Hour)
	}
	since = since.Truncate(time.Hour) // an hour is not divided
	if !since.Before(until) || until.Sub(since) > mostUsage {
		return nil, fault.New(fault.Invalid, "query parameters \"since\" and \"until\": there is nothing between them, or more than 400 days")
	}
	all, err := a.usage.Usage(r.Context(), since, until)
	if err != nil {
		return nil, err
	}
	lacking, err := a.usage.Lacking(r.Context(), since, until)
	return wire.UsageList{Usage: append([]function.Usage{}, all...), Lacking: lacking}, err
}

// usageRoutes are those of what functions use.
func (a *API) usageRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/usage", Name: "getUsage", Summary: "What functions used, by the hour: invocations, memory over time, bytes, build time.",
			Query: []param{
				{Name: "since", Type: "string", About: "from the hour of this time on, or how long ago (7d); a day ago by default"},
				{Name: "until", Type: "string", About: "hours that begin before this time; now by default"},
			}, Answer: wire.UsageList{}, serve: a.getUsage},
	}
}
