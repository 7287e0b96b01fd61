package api

import (
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keepRules adds the triggers of AWS's rules that the live version has: who writes a manifest need not know of them, and who made the rule expects its
// target to be called whatever is deployed. One who changes rules says so, and what he leaves out goes.
func keepRules(view *catalog.View, req *wire.DeployRequest) {
	f, err := view.Function(req.Spec.Name)
	if req.Rules || req.Alias != function.LiveAlias || err != nil || f.Live() == nil {
		return
	}
	newest := f.Live()
	for _, r := range f.Rollouts {
		if v, err := view.VersionNumber(f.Name, r.To); err == nil && r.Active() && r.Alias == function.LiveAlias {
			newest = v
		}
	}
	for _, t := range newest.Spec.Triggers {
		if t.Rule == "" || slices.ContainsFunc(req.Spec.Triggers, func(have function.Trigger) bool { return have.Name == t.Name }) {
			continue
		}
		req.Spec.Triggers = append(slices.Clip(req.Spec.Triggers), t)
	}
}
