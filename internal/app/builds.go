package app

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// openBuilds opens what makes code of source.
func (n *Node) openBuilds(token string) error {
	c, images := &n.config.Build, buildImages{n, token}
	o := build.Options{
		Dir: filepath.Join(n.config.Data, "builds"), Runner: n.runner, Code: n.code, Log: n.log, Images: images, Secrets: images, Pinned: c.Require == config.RequireSigned, Parallel: c.Parallel, Tools: c.Tools, Logger: n.logger,
		Limits: build.Limits{Memory: int64(c.Memory), Disk: int64(c.Disk), Cache: int64(c.Cache), PIDs: c.PIDs},
	}
	for _, item := range c.Env {
		if !strings.Contains(item, "=") {
			value := n.getenv(item)
			if value == "" {
				continue
			}
			item += "=" + value
		}
		o.Env = append(o.Env, item)
	}
	for _, item := range c.Allow {
		prefix, err := (&function.Allowed{To: item}).Prefix()
		if err != nil {
			return fault.New(fault.Invalid, "setting build.allow: %w", err)
		}
		o.Allow = append(o.Allow, runner.Allowed{Prefix: prefix})
	}
	var err error
	n.builds, err = build.Open(o)
	return err
}

// tidyBuilds removes what builds have left that nobody needs.
func (n *Node) tidyBuilds(ctx context.Context) {
	used := map[string]bool{}
	for _, v := range n.versions() {
		if v.Built != nil {
			used[v.Built.ID] = true
		}
	}
	if err := n.builds.Tidy(ctx, func(id string) bool { return used[id] }); err != nil && ctx.Err() == nil {
		n.logger.Warn("what builds have left could not be removed", "err", err)
	}
}
