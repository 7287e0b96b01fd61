package api

import (
	"math"
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listInstances(_ *http.Request, q query) (any, error) {
	name := q.text("function")
	if name != "" {
		if _, err := a.catalog.View().Function(name); err != nil {
			return nil, err
		}
	}
	list := wire.InstanceList{Instances: []wire.Instance{}, Replaced: []wire.Replacement{}, Troubles: []wire.Trouble{}}
	for _, i := range a.fleet.Instances() {
		if name == "" || i.Function == name {
			list.Instances = append(list.Instances, i)
		}
	}
	for _, r := range a.fleet.Replaced() {
		last := len(list.Replaced) - 1
		switch {
		case name == "" && last >= 0 && list.Replaced[last].Function == r.Function && list.Replaced[last].Version == r.Version:
			list.Replaced[last] = r
		case name == "" || r.Function == name:
			list.Replaced = append(list.Replaced, r)
		}
	}
	list.Troubles = append(list.Troubles, a.troubles(name)...)
	return list, nil
}

// troubles are those of one function; "" = of all.
func (a *API) troubles(name string) (list []wire.Trouble) {
	for _, t := range a.fleet.Troubles() {
		if name == "" || t.Function == name {
			list = append(list, t)
		}
	}
	return list
}

// startFunction looks whether a version starts.
func (a *API) startFunction(r *http.Request, q query) (any, error) {
	n, err := q.number("version", 0, 1, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	name, view := r.PathValue("name"), a.catalog.View()
	var v *function.Version
	if n == 0 {
		v, err = view.Version(name, function.LiveAlias, 0)
	} else {
		v, err = view.VersionNumber(name, int(n))
	}
	if err != nil {
		return nil, err
	}
	return wire.Started{Function: name, Version: v.Number}, a.fleet.Start(r.Context(), v)
}
