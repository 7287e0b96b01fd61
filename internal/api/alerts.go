package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Alerts is what the API needs of who judges alerts.
type Alerts interface {
	// States are what was said of each alert last, by its name.
	States(ctx context.Context) (map[string]function.AlertChanged, error)
	// History is what was said of an alert, the newest first.
	History(ctx context.Context, name string, most int) ([]function.AlertChanged, error)
	// Tellings are what came of telling an alert's webhook, the newest first.
	Tellings(ctx context.Context, name string, most int) ([]function.AlertTold, error)
	// Test tells what an alert that fires tells, marked as a test, and returns the id of the event.
	Test(ctx context.Context, name string) (string, error)
}

// shownChanges are the changes of an alert that are told, if it is not said otherwise.
const (
	shownChanges = 20
	maxShown     = 1000
)

// wireAlert is an alert as it stands. What was said of another one of its name, before it was made, is not its.
func wireAlert(v *catalog.View, a catalog.Alert, said map[string]function.AlertChanged) wire.Alert {
	out := wire.Alert{Alert: a.Alert, Changed: a.Changed, State: function.AlertOK, Missing: unfit(v, a.Functions)}
	if c, ok := said[a.Name]; ok && !c.Since.Before(a.Changed) {
		out.State, out.Since, out.Shown = c.State, &c.Since, c.Shown
	}
	return out
}

// unfit are the globs that no function fits.
func unfit(v *catalog.View, globs []string) (none []string) {
	for _, glob := range globs {
		if !slices.ContainsFunc(v.Functions(), func(f *catalog.Function) bool { return access.Grant{Functions: []string{glob}}.Covers(f.Name) }) {
			none = append(none, glob)
		}
	}
	return none
}

func (a *API) listAlerts(r *http.Request, _ query) (any, error) {
	list := wire.AlertList{Alerts: []wire.Alert{}}
	said, err := a.alerts.States(r.Context())
	if err != nil {
		return nil, err
	}
	view := a.catalog.View()
	for _, one := range view.Alerts() {
		list.Alerts = append(list.Alerts, wireAlert(view, one, said))
	}
	return list, nil
}

func (a *API) getAlert(r *http.Request, q query) (any, error) {
	view := a.catalog.View()
	one, err := view.Alert(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	most, err := q.number("limit", shownChanges, 1, maxShown)
	if err != nil {
		return nil, err
	}
	said, err := a.alerts.States(r.Context())
	if err != nil {
		return nil, err
	}
	history, err := a.alerts.History(r.Context(), one.Name, int(most))
	if err != nil {
		return nil, err
	}
	tellings, err := a.alerts.Tellings(r.Context(), one.Name, int(most))
	return wire.AlertDetail{Alert: wireAlert(view, one, said), History: append([]function.AlertChanged{}, history...), Tellings: tellings}, err
}

func (a *API) setAlert(r *http.Request, _ query) (any, error) {
	var one function.Alert
	if err := decode(r, &one); err != nil {
		return nil, err
	}
	if name := r.PathValue("name"); one.Name == "" {
		one.Name = name
	} else if one.Name != name {
		return nil, fault.New(fault.Invalid, "name: is %q in the body and %q in the path", fault.Clip(one.Name), fault.Clip(name))
	}
	if err := one.Validate(); err != nil {
		return nil, err
	}
	said, err := a.alerts.States(r.Context())
	if err != nil {
		return nil, err
	}
	view := a.catalog.View()
	if old, err := view.Alert(one.Name); err == nil && reflect.DeepEqual(old.Alert, one) {
		return wire.AlertSet{Alert: wireAlert(view, old, said), Unchanged: true}, nil
	}
	view, err = a.catalog.Submit(r.Context(), catalog.SetAlert{Alert: one})
	if err != nil {
		return nil, err
	}
	made, err := view.Alert(one.Name)
	if err != nil {
		return nil, err // removed again at once by somebody else
	}
	return wire.AlertSet{Alert: wireAlert(view, made, said)}, nil
}

func (a *API) removeAlert(r *http.Request, _ query) (any, error) {
	_, err := a.catalog.Submit(r.Context(), catalog.RemoveAlert{Name: r.PathValue("name")})
	return nil, err
}

func (a *API) testAlert(r *http.Request, _ query) (any, error) {
	one, err := a.catalog.View().Alert(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	id, err := a.alerts.Test(r.Context(), one.Name)
	return wire.AlertTested{Event: id, Webhook: one.Webhook != ""}, err
}

// alertRoutes are those of alerts.
func (a *API) alertRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/alerts", Name: "listAlerts", Summary: "The alerts, and which of them fire.", Answer: wire.AlertList{}, serve: a.listAlerts},
		{Method: "GET", Path: "/v1/alerts/{name}", Name: "getAlert", Summary: "One alert, and when it fired and was resolved.",
			Query: []param{{Name: "limit", Type: "integer", About: "so many changes; 20, at most 1000"}}, Answer: wire.AlertDetail{}, serve: a.getAlert},
		{Method: "PUT", Path: "/v1/alerts/{name}", Name: "setAlert", Summary: "Make an alert, or put another in its place; one that fires is resolved. The secret that it names must be there.",
			Body: function.Alert{}, Answer: wire.AlertSet{}, Also: []int{409, 429}, serve: a.setAlert},
		{Method: "DELETE", Path: "/v1/alerts/{name}", Name: "removeAlert", Summary: "Take an alert away; one that fires is resolved.", Status: http.StatusNoContent, Also: []int{409}, serve: a.removeAlert},
		{Method: "POST", Path: "/v1/alerts/{name}/test", Name: "testAlert", Summary: "Tell triggers and the webhook of an alert what they are told when it fires, marked as a test. What came of the webhook is among the alert's tellings, by the event.", Answer: wire.AlertTested{}, serve: a.testAlert},
	}
}
