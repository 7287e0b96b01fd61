package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// RemoveVersion takes one version away that nothing needs, before there are so many newer ones that it would go by itself. Its number is not used
// again.
type RemoveVersion struct {
	Function string
	Version  int
	Expects  *int64                 // as of Shift
	Needed   func(version int) bool // as of Deploy
}

func (r RemoveVersion) event(_ context.Context, at scene) (*event.Event, error) {
	v := at.view
	f, err := v.Function(r.Function)
	if err != nil {
		return nil, err
	}
	if err := f.Unchanged(r.Expects); err != nil {
		return nil, err
	}
	if _, err := v.VersionNumber(r.Function, r.Version); err != nil {
		return nil, err
	}
	var names []string
	for name, a := range f.Aliases {
		if slices.Contains(a.Versions(), r.Version) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	refused := func(why string, args ...any) *fault.Error { return fault.New(fault.Conflict, why, args...) }
	switch {
	case len(names) > 0:
		return nil, refused("Unable to delete version because the following aliases reference it: [%s]", strings.Join(names, ", ")).
			WithHint("point them at another version of %s first", f.Name)
	case f.inUse()[r.Version]:
		return nil, refused("version %d of %s is being replayed", r.Version, f.Name).WithHint("dalamb replay ls lists what is under way")
	case f.rolls(r.Version):
		return nil, refused("version %d of %s is part of a roll-out that is under way", r.Version, f.Name).WithHint("dalamb rollout show %s tells how far it is", f.Name)
	case len(f.Versions) == 1:
		return nil, refused("version %d is the only one of %s", r.Version, f.Name).WithHint("remove the function")
	case r.Needed != nil && r.Needed(r.Version):
		return nil, refused("version %d of %s has dead letters", r.Version, f.Name).WithHint("redrive or discard them: dalamb dlq")
	}
	return payload{Function: f.Name, Expects: v.expects(f.Name), Drops: []int{r.Version}}.event(event.TypeVersionRemoved)
}

// rolls says whether a roll-out that is not over is about a version.
func (f *Function) rolls(version int) bool {
	return slices.ContainsFunc(f.Rollouts, func(r *Rollout) bool { return r.Ended == nil && (r.From == version || r.To == version) })
}

// removeVersions changes f, which is the fold's own fresh copy, and puts it in place.
func (s *state) removeVersions(f *Function, numbers []int, offset int64) {
	f.Newest = f.newest()
	f.drop(numbers)
	f.Last = offset
	s.functions[f.Name] = f
}

// newest is the number of the newest version that there has been.
func (f *Function) newest() int {
	n := f.Newest
	if len(f.Versions) > 0 {
		n = max(n, f.Versions[len(f.Versions)-1].Number)
	}
	return n
}
