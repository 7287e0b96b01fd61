package cli

import (
	"context"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// standing refuses the name of what is not in a list, before somebody is asked whether it is to be removed.
func standing[T any](kind, name string, list []T, nameOf func(*T) string) error {
	names := make([]string, len(list))
	for i := range list {
		if names[i] = nameOf(&list[i]); names[i] == name {
			return nil
		}
	}
	return fault.Missing(kind, name, names)
}

func tokenThere(ctx context.Context, node *client.Client, name string) error {
	list, err := node.Tokens(ctx)
	if err != nil {
		return err
	}
	all := list.Tokens
	for _, key := range list.AccessKeys { // they share their names
		all = append(all, key.TokenInfo)
	}
	return standing("token", name, all, func(t *wire.TokenInfo) string { return t.Name })
}

func alertThere(ctx context.Context, node *client.Client, name string) error {
	list, err := node.Alerts(ctx)
	if err != nil {
		return err
	}
	return standing("alert", name, list, func(a *wire.Alert) string { return a.Name })
}

func hookThere(ctx context.Context, node *client.Client, name string) error {
	list, err := node.Hooks(ctx)
	if err != nil {
		return err
	}
	return standing("hook", name, list, func(h *wire.Hook) string { return h.Name })
}

func secretThere(ctx context.Context, node *client.Client, name string) error {
	list, err := node.Secrets(ctx)
	if err != nil {
		return err
	}
	return standing("secret", name, list.Secrets, func(s *wire.Secret) string { return s.Name })
}

func configThere(ctx context.Context, node *client.Client, name string) error {
	list, err := node.Config(ctx)
	if err != nil {
		return err
	}
	return standing("configuration value", name, list, func(v *wire.ConfigValue) string { return v.Name })
}
