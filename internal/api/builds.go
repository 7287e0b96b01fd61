package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	shownBuilds = 20
	maxBuilds   = 1000
)

// buildFold is what a partition of function.TopicBuilds tells, of the newest builds alone.
type buildFold struct {
	wanted func(*function.BuildEvent) bool
	all    map[string]*function.BuildEvent // by id
	order  []string                        // as they began
}

// fold takes a record in. What cannot be read was written by a newer dalamb, and is left out.
func (f *buildFold) fold(r *eventlog.Record) error {
	e, err := eventlog.ToEvent(*r)
	if err != nil {
		return nil
	}
	var told function.BuildEvent
	if json.Unmarshal(e.Data, &told) != nil || !f.wanted(&told) {
		return nil
	}
	if f.all[told.ID] == nil {
		if f.order = append(f.order, told.ID); len(f.order) > maxBuilds {
			delete(f.all, f.order[0])
			f.order = f.order[1:]
		}
		f.all[told.ID] = &told
	} else if e.Type == event.TypeBuildFinished {
		f.all[told.ID] = &told
	}
	return nil
}

// toldBuilds are the newest builds that are wanted by what does not change with their end, the newest first.
func (a *API) toldBuilds(ctx context.Context, wanted func(*function.BuildEvent) bool) ([]*function.BuildEvent, error) {
	t, err := a.topic(ctx, function.TopicBuilds)
	if err != nil {
		return nil, err
	}
	var all []*function.BuildEvent
	for id := range t.Partitions {
		f := &buildFold{wanted: wanted, all: map[string]*function.BuildEvent{}}
		if _, err := eventlog.ReadAll(ctx, a.log, eventlog.Partition{Topic: t.Name, ID: id}, f.fold); err != nil {
			return nil, err
		}
		for _, id := range f.order {
			all = append(all, f.all[id])
		}
	}
	slices.SortFunc(all, func(x, y *function.BuildEvent) int {
		return cmp.Or(y.Started.Compare(x.Started), cmp.Compare(x.ID, y.ID))
	})
	return all, nil
}

func (a *API) listBuilds(r *http.Request, q query) (any, error) {
	limit, err := q.number("limit", shownBuilds, 1, maxBuilds)
	if err != nil {
		return nil, err
	}
	outcome := q.text("outcome")
	if outcome != "" && !slices.Contains(function.BuildOutcomes(), outcome) {
		return nil, fault.New(fault.Invalid, "query parameter \"outcome\": %q is not known", fault.Clip(outcome)).WithHint("one of %s", strings.Join(function.BuildOutcomes(), ", "))
	}
	name := q.text("function")
	told, err := a.toldBuilds(r.Context(), func(b *function.BuildEvent) bool { return name == "" || slices.Contains(b.Functions, name) })
	if err != nil {
		return nil, err
	}
	list := wire.BuildList{Builds: []wire.Build{}}
	for _, b := range told {
		if outcome != "" && b.Outcome != outcome {
			continue
		}
		if list.Builds = append(list.Builds, a.wireBuild(b)); len(list.Builds) == int(limit) {
			break
		}
	}
	return list, nil
}

func (a *API) getBuild(r *http.Request, _ query) (any, error) {
	id := r.PathValue("id")
	told, err := a.toldBuilds(r.Context(), func(b *function.BuildEvent) bool { return b.ID == id })
	if err != nil {
		return nil, err
	}
	if told == nil {
		return nil, fault.New(fault.NotFound, "there is no build %q", fault.Clip(id)).WithHint("dalamb build ls lists those of the last week")
	}
	return a.wireBuild(told[0]), nil
}

// wireBuild adds to a build which versions have what it made.
func (a *API) wireBuild(told *function.BuildEvent) wire.Build {
	b := wire.Build{BuildEvent: *told, Versions: []wire.VersionRef{}}
	view := a.catalog.View()
	for _, name := range told.Functions {
		f, err := view.Function(name)
		if err != nil {
			continue // it was never deployed, or is removed
		}
		for _, v := range f.Versions {
			if v.Built != nil && v.Built.ID == told.ID {
				b.Versions = append(b.Versions, wire.VersionRef{Function: name, Version: v.Number})
			}
		}
	}
	return b
}

// buildOf is the build of a version: what the log tells of it, or what the version itself knows when that is older than the log keeps.
func (a *API) buildOf(r *http.Request, q query) (any, error) {
	v, err := a.builtVersion(r, q)
	if err != nil {
		return nil, err
	}
	told, err := a.toldBuilds(r.Context(), func(b *function.BuildEvent) bool { return b.ID == v.Built.ID })
	if err != nil {
		return nil, err
	}
	if told != nil {
		return a.wireBuild(told[0]), nil
	}
	one := function.BuildEvent{
		ID: v.Built.ID, Functions: []string{v.Spec.Name}, Builder: v.Built.Builder, Origin: v.Origin, Outcome: function.BuildSucceeded, Started: v.Built.Started,
		Took: v.Built.Took, Source: v.Built.Source, Toolchain: v.Built.Toolchain, Code: v.Code,
	}
	if v.Image != nil && v.Code == "" {
		one.Image = v.Image.Reference
	}
	return a.wireBuild(&one), nil
}
