package app

import (
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/shadow"
)

// shadows shows the catalog's roll-outs to shadow.
type shadows struct{ *catalog.Catalog }

func (s shadows) now() (all []shadow.Target, changed <-chan struct{}) {
	changed = s.Changed() // before the view, so that no change falls between
	view := s.View()
	for _, r := range view.Rollouts() {
		if !r.Shadowing() {
			continue
		}
		if to, err := view.VersionNumber(r.Function, r.To); err == nil {
			all = append(all, shadow.Target{Rollout: r.ID, Function: r.Function, Alias: r.Alias, From: r.From, To: to, Shadow: *r.Shadow})
		}
	}
	return all, changed
}
