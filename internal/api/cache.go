package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// purgeCache tells every node by the log what to empty.
func (a *API) purgeCache(r *http.Request, _ query) (any, error) {
	fn := r.PathValue("name")
	var req wire.CachePurge
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if req.Path != "" && req.Path[0] != '/' {
		return nil, fault.New(fault.Invalid, "the path %q does not begin with a slash", fault.Clip(req.Path)).WithHint("such as /products/7, without host and query")
	}
	routes, err := a.cachedRoutes(fn, req.Route)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(function.CachePurged{Function: fn, Trigger: req.Route, Path: req.Path})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.TypeCachePurged, err)
	}
	e := &event.Event{
		ID: event.NewID(), Source: "/dalamb/caches", Type: event.TypeCachePurged, Subject: fn, Time: a.now().UTC(), DataContentType: "application/json", Data: data,
	}
	if _, err := a.log.Append(r.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicCache, e)}); err != nil {
		return nil, fmt.Errorf("append %s: %w", e.Type, err)
	}
	return wire.CachePurged{Function: fn, Routes: routes, Path: req.Path}, nil
}

// cachedRoutes are the names of a function's routes that have a cache; one that is asked for has to be among them.
func (a *API) cachedRoutes(fn, one string) ([]string, error) {
	view := a.catalog.View()
	if _, err := view.Function(fn); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range view.Routes() {
		if r.Function == fn && r.Trigger.Route.Cache != nil {
			names = append(names, r.Trigger.Name)
		}
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return nil, fault.New(fault.Invalid, "no route of %s has a cache", fn).WithHint("give a route cache: {ttl: 1m}; see docs/cache.md")
	case one != "" && !slices.Contains(names, one):
		return nil, fault.Missing("route with a cache of "+fn, one, names)
	case one != "":
		return []string{one}, nil
	}
	return names, nil
}
