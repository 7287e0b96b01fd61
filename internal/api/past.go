package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// The most changes of one answer, and how many it has where nobody says.
const (
	maxChanges     = 10_000
	defaultChanges = 100
)

// getPast tells the platform's state at a time.
func (a *API) getPast(r *http.Request, q query) (any, error) {
	at, err := a.momentOf(q, "at")
	if err != nil {
		return nil, err
	}
	past, err := a.pasts.At(r.Context(), catalog.PastQuery{At: at})
	if err != nil {
		return nil, err
	}
	return pastOf(past.View, at, q.text("function")), nil
}

// pastOf is a view as an answer; only names the one function that is wanted, "" = all are.
func pastOf(view *catalog.View, at time.Time, only string) wire.Past {
	out := wire.Past{At: at, Control: view.Offset, Functions: []wire.PastFunction{}, Config: []string{}, Secrets: []string{}}
	for _, f := range view.Functions() {
		if only == "" || f.Name == only {
			out.Functions = append(out.Functions, pastFunction(f))
		}
	}
	for _, v := range view.Config() {
		out.Config = append(out.Config, v.Name)
	}
	for _, v := range view.Secrets() {
		out.Secrets = append(out.Secrets, v.Name)
	}
	return out
}

// momentOf is a time that is not to come; absent it is now.
func (a *API) momentOf(q query, name string) (time.Time, error) {
	at, err := q.time(name, a.now())
	switch {
	case err != nil:
		return at, err
	case q.text(name) == "":
		return a.now(), nil
	case at.After(a.now()):
		return at, notYet(name, at)
	}
	return at, nil
}

func pastFunction(f *catalog.Function) wire.PastFunction {
	out := wire.PastFunction{Name: f.Name, Versions: []int{}, Aliases: []function.Alias{}, Triggers: []wire.PastTrigger{}}
	for _, v := range f.Versions {
		out.Versions = append(out.Versions, v.Number)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		out.Aliases = append(out.Aliases, f.Aliases[name])
	}
	for _, r := range f.Rollouts {
		if r.Active() {
			out.Rollout = rolloutWords(r)
		}
	}
	for _, t := range f.Triggers {
		if t.Name == function.InvokeTrigger && !t.Paused {
			continue
		}
		one := wire.PastTrigger{Name: t.Name, Topic: t.Topic, Filter: t.Filter, Schedule: t.Schedule, Paused: t.Paused, PausedKeys: t.PausedKeys}
		if t.Route != nil {
			one.Route = strings.TrimSpace(t.Route.Method + " " + t.Route.Path)
		}
		out.Triggers = append(out.Triggers, one)
	}
	return out
}

// listChanges tells what was changed, and by whom as far as that is known.
func (a *API) listChanges(r *http.Request, q query) (any, error) {
	until, err := a.momentOf(q, "before")
	if err != nil {
		return nil, err
	}
	since, err := q.time("since", a.now())
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", defaultChanges, 1, maxChanges)
	if err != nil {
		return nil, err
	}
	fn, env := q.text("function"), q.text("env")
	past, err := a.pasts.At(r.Context(), catalog.PastQuery{At: until, Since: since, Max: int(limit), Want: func(s *catalog.Step) bool {
		return (fn == "" || s.About.Kind == "" && s.About.Name == fn) && (env == "" || function.Within(env, s.About.Name))
	}})
	if err != nil {
		return nil, err
	}
	out := wire.ChangeList{Changes: []wire.Change{}, Older: past.Older}
	for _, s := range past.Steps {
		c := wire.Change{Time: s.Time, Control: s.Offset, Type: s.Type, Kind: s.About.Kind, Name: s.About.Name, What: s.What, Origin: s.Origin, By: s.By}
		if c.Kind == "" {
			c.Kind = "function"
		}
		out.Changes = append(out.Changes, c)
	}
	return out, nil
}

// rolloutWords is a roll-out under way in one line.
func rolloutWords(r *catalog.Rollout) string {
	return fmt.Sprintf("%s of version %d at %s, %s: step %d, %d%% of the traffic", r.Strategy, r.To, r.Alias, r.State, r.Step, r.Weight())
}
