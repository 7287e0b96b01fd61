package app

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/doctor"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// openGit opens the git server, which works without git in so far as it says that there is none.
func (n *Node) openGit() (err error) {
	n.git, err = git.Open(git.Options{
		Dir: filepath.Join(n.config.Data, "git"), Program: git.Find(), Who: ofInstallation(n.api.Who), Deployer: deployer{n.api, n.catalog}, Code: n.code, Builder: n.builds, Log: n.log, Logger: n.logger,
		Elsewhere: n.pushedElsewhere,
		Removing:  n.removals.begin,
	})
	return err
}

// pushedElsewhere says whether versions came from a repository that this node does not have. Where it is the only node, that repository was removed.
func (n *Node) pushedElsewhere(repository string) bool {
	if n.config.EventLog.Kafka == nil {
		return false
	}
	for _, f := range n.catalog.View().Functions() {
		for _, v := range f.Versions {
			if o := v.Origin; o != nil && o.Kind == function.OriginGit && o.Repository == repository {
				return true
			}
		}
	}
	return false
}

// findGit says whether functions can be pushed to a node here.
func findGit() doctor.Finding {
	const name, remedy = "git", "install it: apt install git"
	path := git.Find()
	if path == "" {
		return doctor.Lacking(doctor.Warning, name, remedy, "not here: git push to the node is answered with 501")
	}
	out, err := exec.Command(path, "version").Output()
	if err != nil {
		return doctor.Lacking(doctor.Warning, name, remedy, "%s does not run: %v", path, err)
	}
	if !git.PinsAddresses(string(out)) {
		return doctor.Lacking(doctor.Warning, name, "install git 2.37 or newer", "%s, %s: webhooks of servers by https are refused, since it cannot be told their addresses", path, strings.TrimSpace(string(out)))
	}
	return doctor.Good(name, "%s, %s", path, strings.TrimSpace(string(out)))
}

// deployer shows the API and the catalog to the git server.
type deployer struct {
	*api.API
	catalog *catalog.Catalog
}

func (d deployer) RemoveAlias(ctx context.Context, fn, alias string) error {
	_, err := d.catalog.Submit(ctx, catalog.RemoveAlias{Function: fn, Alias: alias})
	return err
}

func (d deployer) Rollout(fn string, id int64) (wire.Rollout, <-chan struct{}, error) {
	changed := d.catalog.Changed() // before the view, so that no change falls between
	f, err := d.catalog.View().Function(fn)
	if err != nil {
		return wire.Rollout{}, nil, err
	}
	for _, r := range f.Rollouts {
		if r.ID != id {
			continue
		}
		out := wire.Rollout{ID: id, Function: fn, Alias: r.Alias, From: r.From, To: r.To, State: r.State, Weight: r.Weight()}
		if r.Ended != nil {
			out.Ended, out.Gate, out.Reason = r.Ended.At, r.Ended.Gate, r.Ended.Reason
		}
		return out, changed, nil
	}
	return wire.Rollout{}, nil, fault.New(fault.NotFound, "function %q has no roll-out %d", fn, id)
}

func (d deployer) Primary(fn, alias string) int {
	f, err := d.catalog.View().Function(fn)
	if err != nil {
		return 0
	}
	return f.Aliases[alias].Primary
}

// repositories shows the git server, which needs the API itself, to the API.
type repositories struct{ n *Node }

func (r repositories) Repositories(ctx context.Context) ([]wire.Repository, error) {
	return r.n.git.Repositories(ctx)
}

func (r repositories) Remove(ctx context.Context, name string) error {
	return r.n.git.Remove(ctx, name)
}
