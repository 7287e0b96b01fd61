package api

import (
	"context"
	"net/http"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Hooks is what the API needs of who acts upon what hooks are told.
type Hooks interface {
	// Deliveries are the newest deliveries of a hook, the newest first.
	Deliveries(ctx context.Context, hook string, most int) ([]function.HookFinished, error)
	// Opens refuses a hook whose key could open nothing.
	Opens(hook *function.Hook) error
	// Test tries all that a hook needs, and changes nothing.
	Test(ctx context.Context, hook string) ([]wire.HookCheck, error)
	// Refused counts what this node refused of a hook's requests.
	Refused(hook string) function.HookRefused
}

// shownDeliveries is how many deliveries of a hook are told, if it is not said otherwise.
const (
	shownDeliveries = 20
	maxDeliveries   = 1000
)

func (a *API) wireHook(h catalog.Hook) wire.Hook {
	out := wire.Hook{Hook: h.Hook, Path: "/_/hooks/" + h.Provider + "/" + h.Name, Changed: h.Changed}
	if a.hooks != nil {
		out.Refused = a.hooks.Refused(h.Name)
	}
	return out
}

func (a *API) listHooks(*http.Request, query) (any, error) {
	list := wire.HookList{Hooks: []wire.Hook{}}
	for _, h := range a.catalog.View().Hooks() {
		list.Hooks = append(list.Hooks, a.wireHook(h))
	}
	return list, nil
}

func (a *API) getHook(r *http.Request, q query) (any, error) {
	h, err := a.catalog.View().Hook(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	most, err := q.number("limit", shownDeliveries, 1, maxDeliveries)
	if err != nil {
		return nil, err
	}
	out := wire.HookDetail{Hook: a.wireHook(h), Deliveries: []function.HookFinished{}}
	if a.hooks == nil {
		return out, nil
	}
	deliveries, err := a.hooks.Deliveries(r.Context(), h.Name, int(most))
	if err != nil {
		return nil, err
	}
	out.Deliveries = append(out.Deliveries, deliveries...)
	return out, nil
}

func (a *API) setHook(r *http.Request, _ query) (any, error) {
	var h function.Hook
	if err := decode(r, &h); err != nil {
		return nil, err
	}
	if name := r.PathValue("name"); h.Name == "" {
		h.Name = name
	} else if h.Name != name {
		return nil, fault.New(fault.Invalid, "name: is %q in the body and %q in the path", fault.Clip(h.Name), fault.Clip(name))
	}
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if old, err := a.catalog.View().Hook(h.Name); err == nil && old.Hook == h {
		return wire.HookSet{Hook: a.wireHook(old), Unchanged: true}, nil
	}
	if a.hooks != nil {
		if err := a.hooks.Opens(&h); err != nil {
			return nil, err
		}
	}
	view, err := a.catalog.Submit(r.Context(), catalog.SetHook{Hook: h})
	if err != nil {
		return nil, err
	}
	made, err := view.Hook(h.Name)
	if err != nil {
		return nil, err // removed again at once by somebody else
	}
	return wire.HookSet{Hook: a.wireHook(made)}, nil
}

func (a *API) removeHook(r *http.Request, _ query) (any, error) {
	_, err := a.catalog.Submit(r.Context(), catalog.RemoveHook{Name: r.PathValue("name")})
	return nil, err
}

func (a *API) testHook(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if _, err := a.catalog.View().Hook(name); err != nil {
		return nil, err
	}
	if a.hooks == nil {
		return nil, fault.New(fault.NotFound, "this node has no hooks")
	}
	checks, err := a.hooks.Test(r.Context(), name)
	return wire.HookTested{Checks: checks}, err
}

// hookRoutes are those of hooks.
func (a *API) hookRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/hooks", Name: "listHooks", Summary: "The hooks of git servers, which tell of pushes.", Answer: wire.HookList{}, serve: a.listHooks},
		{Method: "GET", Path: "/v1/hooks/{name}", Name: "getHook", Summary: "One hook, what it was told, and what came of it.",
			Query: []param{{Name: "limit", Type: "integer", About: "so many deliveries; 20, at most 1000"}}, Answer: wire.HookDetail{}, serve: a.getHook},
		{Method: "PUT", Path: "/v1/hooks/{name}", Name: "setHook", Summary: "Make a hook, or put another in its place. The secrets that it names must be there.",
			Body: function.Hook{}, Answer: wire.HookSet{}, Also: []int{409, 429}, serve: a.setHook},
		{Method: "DELETE", Path: "/v1/hooks/{name}", Name: "removeHook", Summary: "Take a hook away. What was delivered by it stays.", Status: http.StatusNoContent, Also: []int{409}, serve: a.removeHook},
		{Method: "POST", Path: "/v1/hooks/{name}/test", Name: "testHook", Summary: "Check what a hook needs: its secret, its repository, and the provider's API. Nothing is delivered.", Answer: wire.HookTested{}, serve: a.testHook},
	}
}
