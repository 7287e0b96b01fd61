package api

import (
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keepRules adds the triggers of AWS's rules that the live version has, and names them: who writes a manifest need not know of them, and who made the rule
// expects its target to be called whatever is deployed. What a rule has given up meanwhile, as a version may have that was rolled back to, is not brought
// on. One who changes rules says so, and what he leaves out goes.
func (a *API) keepRules(view *catalog.View, req *wire.DeployRequest) (kept []string) {
	f, err := view.Function(req.Spec.Name)
	if a.aims == nil || req.Rules || req.Alias != function.LiveAlias || err != nil || f.Live() == nil {
		return nil
	}
	newest := f.Live()
	for _, r := range f.Rollouts {
		if v, err := view.VersionNumber(f.Name, r.To); err == nil && r.Active() && r.Alias == function.LiveAlias {
			newest = v
		}
	}
	for _, t := range newest.Spec.Triggers {
		if t.Rule == "" || !a.aims(view, f.Name, &t) || slices.ContainsFunc(req.Spec.Triggers, func(have function.Trigger) bool { return have.Name == t.Name }) {
			continue
		}
		req.Spec.Triggers = append(slices.Clip(req.Spec.Triggers), t)
		kept = append(kept, t.Name)
	}
	return kept
}

// withRules gives a part the triggers of the rules that there are in a view, instead of those that there were when it was checked, and the digest that its
// version has with them.
func (a *API) withRules(view *catalog.View, p *part) {
	p.req.Spec.Triggers = slices.DeleteFunc(slices.Clone(p.req.Spec.Triggers), func(t function.Trigger) bool { return slices.Contains(p.kept, t.Name) })
	p.kept = a.keepRules(view, &p.req)
	p.digest = p.req.Spec.Digest(p.req.Code, p.image.Named())
}
