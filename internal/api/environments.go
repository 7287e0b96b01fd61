package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// place gives the names in a spec the meaning that they have in the environment of its own name, where that is full.
func (a *API) place(ctx context.Context, spec *function.Spec) error {
	env, plain := spec.Unplace()
	if env == "" {
		return nil
	}
	if err := admits(a.catalog.View(), env); err != nil {
		return err
	}
	names, err := a.topicNames(ctx, env)
	if err != nil {
		return err
	}
	*spec = *plain.Place(env, func(topic string) bool { return slices.Contains(names, topic) })
	return nil
}

// topicNames lists the topics that there are, and the one that an environment's first deploy makes.
func (a *API) topicNames(ctx context.Context, env string) ([]string, error) {
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var names []string
	for _, t := range topics {
		names = append(names, t.Name)
	}
	if own := function.Full(env, function.TopicEvents); env != "" && !slices.Contains(names, own) {
		names = append(names, own)
	}
	return names, nil
}

// admits refuses to begin an environment that would be one too many, or that somebody outside of it listens to already.
func admits(view *catalog.View, env string) error {
	there := view.Environments()
	i := slices.IndexFunc(there, func(e *catalog.Environment) bool { return e.Name == env })
	if i < 0 && len(there) >= function.MaxEnvironments {
		return fault.New(fault.Exhausted, "there are %d environments already: %q is one too many", len(there), env).
			WithHint("dalamb env ls lists them, dalamb env rm NAME removes one")
	}
	if i >= 0 && len(there[i].Functions) > 0 {
		return nil
	}
	if topic, fn := view.Eavesdropper(env); fn != "" {
		return fault.New(fault.Conflict, "topic %q would be environment %q's own, and function %q listens to it", topic, env, fn).
			WithHint("choose another name for the environment")
	}
	return nil
}

// open makes the topic that an environment has from its first deploy on, like that of production.
func (a *API) open(ctx context.Context, fn string) error {
	env := function.Environment(fn)
	if env == "" {
		return nil
	}
	topics, err := a.log.Topics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	t := eventlog.Topic{Name: function.Full(env, function.TopicEvents), Partitions: defaultPartitions}
	for _, there := range topics {
		switch there.Name {
		case t.Name:
			return nil
		case function.TopicEvents:
			t.Partitions, t.Retention, t.MaxBytes = there.Partitions, there.Retention, there.MaxBytes
		}
	}
	// Another deploy at this moment may be first.
	if err := a.log.CreateTopic(ctx, t); err != nil && fault.KindOf(err) != fault.Conflict {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	return nil
}

// missingTopic is the error for a topic that a function means and that is not there, with the command that makes it where the function is.
func missingTopic(fn, topic string, names []string) *fault.Error {
	env := function.Environment(fn)
	f := eventlog.MissingTopic(topic, names)
	if env == "" || function.SystemTopic(topic) {
		return f
	}
	hint := fmt.Sprintf("make it: dalamb --env %s topic create %s", env, fault.Clip(function.Plain(env, topic)))
	if near := fault.Nearest(topic, names); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? Or %s", strings.Join(near, " or "), hint)
	}
	return f.WithHint("%s", hint)
}

// shares tells which topics a function of an environment hears that others write to.
func shares(spec *function.Spec) []string {
	env := function.Environment(spec.Name)
	if env == "" {
		return nil
	}
	var ws []string
	for _, t := range spec.Triggers {
		if t.Topic != "" && !function.Within(env, t.Topic) && !function.SystemTopic(t.Topic) {
			ws = append(ws, fmt.Sprintf("trigger %q hears the shared topic %q; to give %s its own: dalamb --env %[3]s topic create %[2]s, and deploy again", t.Name, t.Topic, env))
		}
	}
	return ws
}

// hostTaken refuses a route of an environment on a host that a route of production names: it would never be reached.
func hostTaken(spec *function.Spec, other catalog.Route) error {
	if function.Environment(other.Function) != "" {
		return nil
	}
	for _, mine := range spec.Routes() {
		if host := other.Trigger.Route.Host; host != "" && host == mine.Route.Host {
			return fault.New(fault.Conflict, "the route %s of function %q is on a host that function %q of production has", mine.Route.Pattern(), spec.Name, other.Function).
				WithHint("choose another name for the environment, or another host")
		}
	}
	return nil
}

func (a *API) listEnvironments(r *http.Request, _ query) (any, error) {
	names, err := a.topicNames(r.Context(), "")
	if err != nil {
		return nil, err
	}
	list := wire.EnvironmentList{Environments: []wire.Environment{}}
	lags, _ := a.dispatcher.Lag(r.Context(), "") // as in listFunctions
	for _, e := range a.catalog.View().Environments() {
		w := wire.Environment{Name: e.Name, Functions: len(e.Functions), Secrets: len(e.Secrets), Config: len(e.Config), Topics: len(ownOf(e.Name, names))}
		for _, f := range e.Functions {
			if v := f.Live(); v != nil {
				w.Triggers += len(v.Spec.Triggers)
			}
			for _, t := range f.Triggers {
				if t.Route == nil {
					lag := lags[TriggerRef{f.Name, t.Name}]
					w.Lag += lag.Events
					w.LagPartial = w.LagPartial || lag.Partial
				}
			}
		}
		list.Environments = append(list.Environments, w)
	}
	return list, nil
}

// removeEnvironment removes one thing after another. When it fails in between, what is left is still an environment, and can be removed.
func (a *API) removeEnvironment(r *http.Request, _ query) (any, error) {
	e, err := a.catalog.View().Environment(r.PathValue("env"))
	if err != nil {
		return nil, err
	}
	names, err := a.topicNames(r.Context(), "")
	if err != nil {
		return nil, err
	}
	out := wire.EnvironmentRemoved{Name: e.Name, Functions: []string{}, Secrets: orNone(e.Secrets), Config: orNone(e.Config), Topics: orNone(ownOf(e.Name, names))}
	var changes []catalog.Change
	for _, f := range e.Functions {
		for _, lag := range a.waiting(r.Context(), f) {
			out.Waiting += lag
		}
		out.Functions = append(out.Functions, f.Name)
		changes = append(changes, catalog.Remove{Function: f.Name})
	}
	for _, name := range e.Secrets {
		changes = append(changes, catalog.RemoveSecret{Name: name})
	}
	for _, name := range e.Config {
		changes = append(changes, catalog.RemoveConfig{Name: name})
	}
	for _, change := range changes {
		if _, err := a.catalog.Submit(r.Context(), change); err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, fmt.Errorf("remove environment %s: %w", e.Name, err)
		}
	}
	return out, nil
}

// ownOf are those of the names that are an environment's.
func ownOf(env string, names []string) []string {
	var own []string
	for _, name := range names {
		if function.Within(env, name) {
			own = append(own, name)
		}
	}
	return own
}

// environmentRoutes are those of environments.
func (a *API) environmentRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/environments", Name: "listEnvironments", Summary: "The environments beside production, and how much each has.", Answer: wire.EnvironmentList{}, serve: a.listEnvironments},
		{Method: "DELETE", Path: "/v1/environments/{env}", Name: "removeEnvironment", Summary: "Take an environment away, with its functions, their triggers and progress, its secrets and its configuration values. Its topics stay.",
			Answer: wire.EnvironmentRemoved{}, Also: []int{409}, serve: a.removeEnvironment},
	}
}
