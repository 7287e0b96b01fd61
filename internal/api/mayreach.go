package api

import (
	"context"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// mayReach refuses somebody who is there for one environment a function that leads beyond the internet, or would have the node ask for it there, where its live version does not do so
// already: the node's network, and the services in it, are others'.
func (a *API) mayReach(who access.Actor, spec *function.Spec) error {
	if who.Environment == "" {
		return nil
	}
	var had []string
	view := a.catalog.View()
	if alias, err := view.Alias(spec.Name, function.LiveAlias); err == nil {
		if live, err := view.VersionNumber(spec.Name, alias.Primary); err == nil {
			had = live.Spec.Outside()
		}
	}
	for _, reach := range spec.Outside() {
		if !slices.Contains(had, reach) {
			field := reach[:strings.LastIndex(reach, ": ")]
			return fault.New(fault.Denied, "the %s is for environment %s, and function %q would reach what is not of it by its %s", who, who.Environment, spec.Name, field).
				WithHint("use network: egress with allow of public addresses, or an upstream of servers with such; or let somebody deploy it once whose token is for all environments")
		}
	}
	return nil
}

// mayReturn refuses somebody who is there for one environment a version that takes, hears or reaches what he could not deploy it with: what was taken back stays so.
func (a *API) mayReturn(ctx context.Context, f *catalog.Function, number int) error {
	who := access.From(ctx)
	if who.Environment == "" {
		return nil
	}
	v, err := a.catalog.View().VersionNumber(f.Name, number)
	if err != nil {
		return err
	}
	if err := a.mayTake(ctx, v.Spec.SecretNames()); err != nil {
		return err
	}
	if err := a.mayHear(who, &v.Spec); err != nil {
		return err
	}
	return a.mayReach(who, &v.Spec)
}
