package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Usage is what the API needs of who counts what functions use.
type Usage interface {
	// Hours are what functions that are wanted used in the hours that begin from since on and before until; too large where that has more rows than most.
	Hours(ctx context.Context, since, until time.Time, wanted func(fn string) bool, most int) ([]function.Usage, error)
	// Sums are sums of that, by the names that name gives to what a function used on a day; without what it does not want.
	Sums(ctx context.Context, since, until time.Time, name func(fn string, day time.Time) (name string, wanted bool)) (map[string]*function.Used, error)
	// Lacking are the hours among them of which the log may have let go of records before they were counted.
	Lacking(ctx context.Context, since, until time.Time) ([]time.Time, error)
}

// Bounds of one answer.
const (
	mostUsage     = 400 * 24 * time.Hour
	mostUsageRows = 100_000
	recentUsage   = 31 * 24 * time.Hour // hours before that are read from the log
)

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
	out := wire.UsageList{Usage: []function.Usage{}}
	env, by := q.text("env"), q.text("by")
	of := func(fn string) bool { return env == "" || function.EnvironmentName(function.Environment(fn)) == env }
	switch {
	case by == "":
		ask := func(ctx context.Context) error {
			hours, err := a.usage.Hours(ctx, since, until, of, mostUsageRows)
			out.Usage = append(out.Usage, hours...)
			return err
		}
		if since.Before(now.Add(-recentUsage)) {
			err = a.search(r.Context(), ask)
		} else {
			err = ask(r.Context())
		}
		if err != nil {
			return nil, err
		}
	case slices.Contains(wire.UsageSums(), by):
		sums, err := a.usage.Sums(r.Context(), since, until, func(fn string, day time.Time) (string, bool) { return summedAs(by, fn, day), of(fn) })
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			out.Sums = append(out.Sums, wire.UsageSum{Name: name, Used: *sums[name]})
		}
	default:
		return nil, fault.New(fault.Invalid, "query parameter \"by\": %q is none of %s", fault.Clip(by), strings.Join(wire.UsageSums(), ", "))
	}
	out.Lacking, err = a.usage.Lacking(r.Context(), since, until)
	return out, err
}

// summedAs is the name of the sum that has what a function used on a day.
func summedAs(by, fn string, day time.Time) string {
	switch by {
	case wire.UsageByEnvironment:
		return function.EnvironmentName(function.Environment(fn))
	case wire.UsageByDay:
		return day.Format(time.DateOnly)
	}
	return fn
}

// usageRoutes are those of what functions use.
func (a *API) usageRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/usage", Name: "getUsage", Summary: "What functions used, by the hour or summed up: invocations, memory over time, bytes, build time.",
			Query: []param{
				{Name: "since", Type: "string", About: "from the hour of this time on, or how long ago (7d); a day ago by default"},
				{Name: "until", Type: "string", About: "hours that begin before this time; now by default"},
				{Name: "by", Type: "string", About: "sums in the place of hours: function, environment or day (in UTC)"},
				{Name: "env", Type: "string", About: "only of functions of this environment"},
			}, Answer: wire.UsageList{}, serve: a.getUsage},
	}
}
