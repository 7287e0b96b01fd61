package declare

import (
	"context"
	"fmt"
	"slices"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
)

type (
	setHook    struct{ h function.Hook }
	removeHook string
)

func (a setHook) do(ctx context.Context, node *client.Client) error {
	_, err := node.SetHook(ctx, a.h)
	return err
}

func (a removeHook) do(ctx context.Context, node *client.Client) error {
	return node.RemoveHook(ctx, string(a))
}

func fetchHooks(ctx context.Context, node *client.Client) ([]function.Hook, error) {
	list, err := node.Hooks(ctx)
	var hooks []function.Hook
	for _, h := range list {
		hooks = append(hooks, h.Hook)
	}
	return hooks, err
}

func (c *comparison) hooks() {
	named := func(list []function.Hook, name string) int {
		return slices.IndexFunc(list, func(h function.Hook) bool { return h.Name == name })
	}
	for _, h := range c.want.Hooks {
		i := named(c.have.Hooks, h.Name)
		if i < 0 {
			c.add(Create, "hook "+h.Name, nil, setHook{h})
			continue
		}
		if details := hookChanges(&c.have.Hooks[i], &h); details != nil {
			c.add(Change, "hook "+h.Name, details, setHook{h})
		}
	}
	for _, h := range c.have.Hooks {
		if named(c.want.Hooks, h.Name) < 0 {
			c.extra("hook "+h.Name, removeHook(h.Name))
		}
	}
}

func hookChanges(have, want *function.Hook) (details []string) {
	for _, f := range []struct {
		name    string
		was, is any
	}{
		{"provider", have.Provider, want.Provider}, {"url", have.URL, want.URL}, {"secret", have.Secret, want.Secret}, {"token", have.Token, want.Token},
		{"deployKey", have.DeployKey, want.DeployKey}, {"api", have.API, want.API}, {"noStatus", have.NoStatus, want.NoStatus},
	} {
		if f.was != f.is {
			details = append(details, fmt.Sprintf("%s: %v -> %v", f.name, f.was, f.is))
		}
	}
	if have.KnownHosts != want.KnownHosts {
		details = append(details, "knownHosts: others")
	}
	return details
}
