package app

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/deliver/incoming"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/source/hook"
	"github.com/dalamb/dalamb/internal/wire"
)

// hooks are all providers of hooks.
func (n *Node) hooks() hook.Hooks {
	all := hook.Hooks{
		"registry": hook.Registry{
			Sender: func(h http.Header) (string, error) { return n.gateway.Sender(h) },
			Pushed: func(id string, p function.ImagePushed) error { return n.follower.Pushed(id, p) }, Refusals: n.refusals,
		},
	}
	for _, f := range hook.Forges() {
		all[f.Word()] = hook.Pushes{Forge: f, Hook: n.hookOf, Secret: n.secretValue, Received: n.incoming.Received, Refusals: n.refusals, Now: time.Now}
	}
	return all
}

// openIncoming opens what acts upon pushes to other git servers.
func (n *Node) openIncoming() (err error) {
	if n.refusals, err = hook.NewRefusals(n.metrics, time.Now); err != nil {
		return err
	}
	n.incoming, err = incoming.New(incoming.Options{Log: n.log, Catalog: n.catalog, Git: remotes{n}, Secret: n.secretValue, Logger: n.logger})
	return err
}

func (n *Node) hookOf(name string) (function.Hook, error) {
	h, err := n.catalog.View().Hook(name)
	return h.Hook, err
}

// secretValue opens a secret.
func (n *Node) secretValue(name string) ([]byte, error) {
	one, err := n.catalog.View().Secret(name)
	if err != nil {
		return nil, err
	}
	return n.secrets.Open(name, *one.Sealed)
}

// remotes shows the git server, which is opened later, to who acts upon pushes to others.
type remotes struct{ n *Node }

func (r remotes) Announce(told git.Remote) incoming.Bringer { return r.n.git.Announce(told) }

func (r remotes) Branches(ctx context.Context, address, place string, a git.Access) ([]string, error) {
	return r.n.git.Branches(ctx, address, place, a)
}

func (r remotes) DropRemotes(ctx context.Context, keep func(string) bool) error {
	return r.n.git.DropRemotes(ctx, keep)
}

// told shows to the API what hooks are told.
type told struct {
	*incoming.Keeper
	*hook.Refusals
}

func (t told) Test(ctx context.Context, name string) ([]wire.HookCheck, error) {
	checks, err := t.Keeper.Test(ctx, name)
	out := make([]wire.HookCheck, 0, len(checks))
	for _, c := range checks {
		one := wire.HookCheck{What: c.What, Good: c.Err == nil, Detail: c.Detail}
		if c.Err != nil {
			one.Detail, one.Error, one.Hint = "", c.Err.Error(), fault.HintOf(c.Err)
		}
		out = append(out, one)
	}
	return out, err
}
