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

// mayTake refuses secrets to a function, or a build, of whom has rights over some functions alone: what code is given it can tell. He may have those that
// functions of his have already, and those whose names are like theirs.
func (a *API) mayTake(ctx context.Context, secrets []string) error {
	who, view := access.From(ctx), a.catalog.View()
	var not []string
	for _, name := range secrets {
		if !who.Covers(name) && !slices.ContainsFunc(view.SecretTakers(name), who.Covers) {
			not = append(not, name)
		}
	}
	if not == nil {
		return nil
	}
	return fault.New(fault.Denied, "the %s is for %s, none of which takes %s", who, who.Bound(), strings.Join(not, ", ")).
		WithHint("let somebody whose token is for all functions deploy it once, or take a secret whose name fits as a function's would")
}

// MayBuild refuses a build, for the function of a full name, that would see secrets which who asks has no right to; they are those of the function's
// environment. Whatever begins builds for somebody asks it first: the builder opens what a build names.
func (a *API) MayBuild(ctx context.Context, fn string, how *function.Build) error {
	var secrets []string
	for _, name := range how.Secrets {
		secrets = append(secrets, function.Full(function.Environment(fn), name))
	}
	return a.mayTake(ctx, secrets)
}

// maySet refuses a change of a secret or a configuration value to whom has no right over all that take it. One that nothing takes has a name that
// fits as a function's would.
func maySet(ctx context.Context, name string, takers, hooks []string) error {
	who := access.From(ctx)
	switch {
	case who.Whole():
		return nil
	case len(hooks) > 0 && who.Environment != "": // whose names are not for him
		return fault.New(fault.Denied, "the %s is for environment %s, and %s is what hooks of the installation take", who, who.Environment, name).
			WithHint("use a token that is for no environment alone")
	case len(hooks) > 0:
		return fault.New(fault.Denied, "the %s is for some functions alone, and %s is what the hook %s takes", who, name, strings.Join(hooks, ", ")).
			WithHint("use a token that is for all functions")
	case len(takers) > 0:
		return who.Over(access.Deploy, takers...)
	}
	return who.Over(access.Deploy, name)
}

// maySetSecret is maySet for a secret.
func maySetSecret(ctx context.Context, view *catalog.View, name string) error {
	return maySet(ctx, name, view.SecretTakers(name), view.SecretHooks(name))
}
