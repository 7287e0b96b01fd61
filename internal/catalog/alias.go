package catalog

import (
	"context"
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Shift points an alias of a function at other versions. An alias that is not there comes to be.
type Shift struct {
	Function  string
	Alias     function.Alias
	Deliverer *function.Origin // see Deliverer: where it is a deploy of what is there already; nil = it is none
	// Expects is the Function.Last that the shift was decided upon; nil = the newest. Another one is a Conflict.
	Expects *int64
}

// RemoveAlias takes an alias away; its versions stay.
type RemoveAlias struct {
	Function, Alias string
	Expects         *int64 // as of Shift
}

func (s Shift) event(ctx context.Context, at scene) (*event.Event, error) {
	v := at.view
	f, err := v.Function(s.Function)
	if err != nil {
		return nil, err
	}
	if err := f.Unchanged(s.Expects); err != nil {
		return nil, err
	}
	primary, err := v.VersionNumber(s.Function, s.Alias.Primary)
	if err != nil {
		return nil, err
	}
	if err := v.Provides(&primary.Spec); err != nil {
		return nil, err
	}
	total := 0
	for n, weight := range s.Alias.Weights {
		version, err := v.VersionNumber(s.Function, n)
		if err == nil {
			err = v.Provides(&version.Spec)
		}
		if err != nil {
			return nil, err
		}
		if weight < 0 || total+weight > 100 {
			return nil, fault.New(fault.Invalid, "alias %q: weights are parts of 100, each from 0, together at most 100", s.Alias.Name)
		}
		total += weight
	}
	if err := v.admits(s.Function, s.Alias.Name); err != nil {
		return nil, err
	}
	p, err := at.places(ctx, s.Function, primary.Spec.Triggers)
	if err != nil {
		return nil, err
	}
	p.Function, p.Expects, p.Alias, p.Deliverer = s.Function, v.expects(s.Function), &s.Alias, s.Deliverer
	return p.event(event.TypeAliasShifted)
}

func (r RemoveAlias) event(_ context.Context, at scene) (*event.Event, error) {
	v := at.view
	f, err := v.Function(r.Function)
	if err != nil {
		return nil, err
	}
	if r.Alias == function.LiveAlias {
		return nil, fault.New(fault.Invalid, "the alias %s of %s cannot be removed: triggers and routes are its", r.Alias, r.Function).
			WithHint("dalamb remove %s takes the whole function away", r.Function)
	}
	if _, err := v.Alias(r.Function, r.Alias); err != nil {
		return nil, err
	}
	if err := f.Unchanged(r.Expects); err != nil {
		return nil, err
	}
	return payload{Function: r.Function, Expects: v.expects(r.Function), Alias: &function.Alias{Name: r.Alias}}.event(event.TypeAliasRemoved)
}

// Unchanged refuses what was decided upon an older state of the function, or, with -1, upon there being none.
func (f *Function) Unchanged(expects *int64) error {
	switch {
	case expects == nil || *expects == f.Last:
		return nil
	case *expects < 0:
		return fault.New(fault.Conflict, "function %q is there already", f.Name)
	}
	return changedMeanwhile(f.Name)
}

// admits says whether a function may have an alias of a name.
func (v *View) admits(fn, alias string) error {
	if err := function.CheckAlias(alias); err != nil {
		return err
	}
	f, ok := v.functions[fn]
	if !ok {
		return nil
	}
	for name := range f.Aliases {
		if function.Above(name, alias) {
			return fault.New(fault.Conflict, "%s has the alias %q, so that it cannot have %q: of both neither may be a directory of the other", fn, name, alias).
				WithHint("choose another name, or remove %s: dalamb alias rm %s %s", name, fn, name)
		}
	}
	return nil
}

// Alias returns an alias of a function, "" = live, or NotFound with the nearest names.
func (v *View) Alias(fn, alias string) (function.Alias, error) {
	f, err := v.Function(fn)
	if err != nil {
		return function.Alias{}, err
	}
	if alias == "" {
		alias = function.LiveAlias
	}
	a, ok := f.Aliases[alias]
	if !ok {
		return a, fault.Missing("alias of "+fn, alias, slices.Sorted(maps.Keys(f.Aliases)))
	}
	return a, nil
}

// maxTrail bounds how far back an alias knows what it was at.
const maxTrail = 100

// trace notes where an alias of f, which is the fold's own fresh copy, was before it goes on to another primary. Who brings it back to
// where it was, by whatever way, forgets what came after: to go back from there is to go further back, and never forward again.
func (f *Function) trace(to function.Alias) {
	was, ok := f.Aliases[to.Name]
	if !ok || was.Primary == to.Primary {
		return
	}
	trail := f.Trails[to.Name]
	if i := lastIndex(trail, to.Primary); i >= 0 {
		trail = trail[:i]
	} else {
		trail = append(slices.Clone(trail), was.Primary)
		trail = trail[max(0, len(trail)-maxTrail):]
	}
	f.setTrail(to.Name, trail)
}

func (f *Function) setTrail(alias string, trail []int) {
	switch {
	case len(trail) == 0:
		delete(f.Trails, alias)
	case f.Trails == nil:
		f.Trails = map[string][]int{alias: trail}
	default:
		f.Trails[alias] = trail
	}
}

func lastIndex(list []int, n int) int {
	for i, v := range slices.Backward(list) {
		if v == n {
			return i
		}
	}
	return -1
}

// Before is the version that an alias goes back to: while it has weights its primary alone, be they of nothing as at the beginning of a
// roll-out; else the primary that it had before.
func (f *Function) Before(alias string) (int, error) {
	a := f.Aliases[alias]
	if len(a.Weights) > 0 {
		return a.Primary, nil
	}
	if trail := f.Trails[alias]; len(trail) > 0 {
		return trail[len(trail)-1], nil
	}
	return 0, fault.New(fault.Conflict, "there is no version to take the alias %s of %s back to: it is at version %d", alias, f.Name, a.Primary).
		WithHint("dalamb versions %[1]s lists those that there are; dalamb rollback %[1]s --to VERSION takes the alias to one of them", f.Name)
}

// bear notes since when an alias is there.
func (f *Function) bear(alias string, offset int64) {
	if f.Born == nil {
		f.Born = map[string]int64{}
	}
	f.Born[alias] = offset
}

// removeAlias changes f, which is the fold's own fresh copy, and puts it in place.
func (s *state) removeAlias(f *Function, alias string, offset int64) {
	delete(f.Aliases, alias)
	delete(f.Born, alias)
	delete(f.Trails, alias)
	delete(f.Delivered, alias)
	f.Last = offset
	s.functions[f.Name] = f
}
