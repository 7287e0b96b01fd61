package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) shiftAlias(r *http.Request, _ query) (any, error) {
	var req wire.ShiftRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	out, err := a.ShiftAlias(r.Context(), Alias{r.PathValue("name"), r.PathValue("alias")}, req)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Alias names an alias of a function.
type Alias struct{ Function, Name string }

// ShiftAlias points an alias at versions; one that is not there comes to be.
func (a *API) ShiftAlias(ctx context.Context, alias Alias, req wire.ShiftRequest) (out wire.Shifted, err error) {
	f, err := a.catalog.View().Function(alias.Function)
	if err != nil {
		return out, err
	}
	name := alias.Name
	if err := function.CheckAlias(name); err != nil {
		return out, err
	}
	was := f.Aliases[name]
	was.Name = name
	to, err := aliasFor(was, req.Shares)
	if err != nil {
		return out, err
	}
	return a.shift(ctx, f, shift{Shift: catalog.Shift{Function: f.Name, Alias: to, Expects: req.Expects}, dry: req.DryRun})
}

func (a *API) rollback(r *http.Request, _ query) (any, error) {
	var req wire.RollbackRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	view := a.catalog.View()
	f, err := view.Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	alias, err := view.Alias(f.Name, req.Alias)
	if err != nil {
		return nil, err
	}
	to := function.Alias{Name: alias.Name, Primary: req.To}
	if req.To == 0 {
		if to.Primary, err = f.Before(alias.Name); err != nil {
			return nil, err
		}
	}
	if to.Primary == alias.Primary && len(alias.Weights) == 0 {
		return nil, fault.New(fault.Conflict, "the alias %s of %s is at version %d already", alias.Name, f.Name, to.Primary)
	}
	out, err := a.shift(r.Context(), f, shift{Shift: catalog.Shift{Function: f.Name, Alias: to, Expects: req.Expects}, dry: req.DryRun})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// shift is a catalog.Shift, or the question what it would do.
type shift struct {
	catalog.Shift
	dry bool
}

// shift checks everything before it appends anything: what is refused has changed nothing.
func (a *API) shift(ctx context.Context, f *catalog.Function, s shift) (wire.Shifted, error) {
	out := wire.Shifted{Function: f.Name, Alias: s.Alias.Name, To: sharesOf(s.Alias), Expects: f.Last}
	was, there := f.Aliases[s.Alias.Name]
	if there {
		out.From = sharesOf(was)
	}
	var primary *function.Version
	for _, n := range s.Alias.Versions() {
		if !there || !slices.Contains(was.Versions(), n) || n == s.Alias.Primary && n != was.Primary {
			if err := a.mayReturn(ctx, f, n); err != nil && fault.KindOf(err) != fault.NotFound { // which runnable says better
				return out, err
			}
		}
		v, err := a.runnable(ctx, f, n)
		if err != nil {
			return out, err
		}
		primary = cmp.Or(primary, v)
	}
	if s.Alias.Name == function.LiveAlias && primary.Number != was.Primary {
		if err := a.checkTopics(ctx, &primary.Spec); err != nil {
			return out, err
		}
		if err := a.checkRoutes(&primary.Spec, nil); err != nil {
			return out, err
		}
		a.comeAndGo(ctx, f, primary, &out)
	}
	for _, r := range f.Rollouts {
		if r.Alias == s.Alias.Name && r.Ended == nil {
			out.Warnings = append(out.Warnings, fmt.Sprintf("the roll-out to version %d, which is %s, ends with it", r.To, r.State))
		}
	}
	if s.dry {
		return out, nil
	}
	if s.Expects == nil {
		s.Expects = &f.Last // what was checked is what is shifted
	}
	if _, err := a.catalog.Submit(ctx, s.Shift); err != nil {
		return out, err
	}
	out.Done = true
	return out, nil
}

// runnable is a version whose code and image this node has, or brings now: before anybody is sent there.
func (a *API) runnable(ctx context.Context, f *catalog.Function, n int) (*function.Version, error) {
	v, err := a.catalog.View().VersionNumber(f.Name, n)
	if err != nil {
		e := fault.New(fault.NotFound, "function %q has no version %d", f.Name, n).WithHint("dalamb versions %s lists them", f.Name)
		if f.Gone(n) {
			e = fault.New(fault.NotFound, "version %d of %s was let go: %d versions are kept, and those that something needs", n, f.Name, f.Versions[len(f.Versions)-1].Spec.Kept()).
				WithHint("dalamb versions %s lists those that are left; deploy it again from its sources", f.Name)
		}
		return nil, e
	}
	if v.Code != "" {
		if _, err := a.code.Dir(v.Code); err != nil {
			return nil, gone(v, "code", err)
		}
	}
	if v.Image != nil {
		if a.images == nil {
			return nil, fault.New(fault.Unavailable, "version %d of %s is an image, and this node has none", n, f.Name)
		}
		if err := a.images.Bring(ctx, v.Image); err != nil {
			return nil, gone(v, "image", err)
		}
	}
	return v, nil
}

func gone(v *function.Version, what string, err error) error {
	return fault.New(fault.Conflict, "version %d of %s cannot be run any more, its %s is gone: %w", v.Number, v.Function(), what, err).
		WithHint("nothing was changed; dalamb versions %s lists the others, and a deploy of its sources makes it anew", v.Function())
}

// comeAndGo says which triggers and routes a shift of live to another primary brings and takes.
func (a *API) comeAndGo(ctx context.Context, f *catalog.Function, to *function.Version, out *wire.Shifted) {
	var kept []string
	for _, t := range f.Triggers {
		if t.Name != function.InvokeTrigger && hasTrigger(&to.Spec, t) {
			kept = append(kept, t.Name)
		}
	}
	for _, t := range to.Spec.Triggers {
		if !slices.Contains(kept, t.Name) {
			out.Added = append(out.Added, t.Name)
		}
	}
	waiting := a.waiting(ctx, f)
	for _, t := range f.Triggers {
		if t.Name != function.InvokeTrigger && !slices.Contains(kept, t.Name) {
			out.Removed = append(out.Removed, wire.TriggerGoing{Trigger: t.Name, Waiting: waiting[t.Name]})
		}
	}
	for _, name := range to.Spec.DestinationFunctions() {
		if _, err := a.catalog.View().Function(name); err != nil && name != f.Name {
			out.Warnings = append(out.Warnings, fmt.Sprintf("outcomes go to function %q, which is not there: they are lost until it is", name))
		}
	}
}

// hasTrigger says whether a version has a trigger, by name and topic: then it stays the same trigger.
func hasTrigger(s *function.Spec, t *catalog.Trigger) bool {
	return slices.ContainsFunc(s.Triggers, func(d function.Trigger) bool { return d.Name == t.Name && d.Listens() == t.Topic })
}
