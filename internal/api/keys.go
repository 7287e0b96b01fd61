package api

import (
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) pauseKey(r *http.Request, _ query) (any, error)  { return a.setKeyPaused(r, true) }
func (a *API) resumeKey(r *http.Request, _ query) (any, error) { return a.setKeyPaused(r, false) }

func (a *API) setKeyPaused(r *http.Request, paused bool) (any, error) {
	t, err := a.topicTrigger(r)
	if err != nil {
		return nil, err
	}
	var req wire.Key
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if _, there := slices.BinarySearch(t.PausedKeys, req.Key); there && paused {
		return keysOf(t), nil
	}
	v, err := a.catalog.Submit(r.Context(), catalog.PauseKey{Function: t.Function, Trigger: t.Name, Key: req.Key, Paused: paused})
	if err != nil {
		return nil, err
	}
	if t, err = v.Trigger(t.Function, t.Name); err != nil {
		return nil, err
	}
	return keysOf(t), nil
}

func (a *API) listKeys(r *http.Request, _ query) (any, error) {
	t, err := a.topicTrigger(r)
	if err != nil {
		return nil, err
	}
	return keysOf(t), nil
}

func keysOf(t *catalog.Trigger) wire.KeyList {
	return wire.KeyList{Function: t.Function, Trigger: t.Name, Paused: append([]string{}, t.PausedKeys...)}
}

// topicTrigger is the trigger on a topic that a request's path names.
func (a *API) topicTrigger(r *http.Request) (*catalog.Trigger, error) {
	fn, name := r.PathValue("function"), r.PathValue("trigger")
	t, err := a.catalog.View().Trigger(fn, name)
	if err != nil {
		return nil, err
	}
	if t.Route != nil {
		return nil, isRoute(fn, name)
	}
	return t, nil
}
