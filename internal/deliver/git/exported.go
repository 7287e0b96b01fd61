package git

import (
	"path"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// What dalamb export has written says by its directories whose each manifest is: installation.yaml stands at the top, functions/NAME/dalamb.yaml is
// what live has, functions/NAME@ALIAS/dalamb.yaml what another alias has, with @ for a slash; environments/ENV/ is of the same form.

const installationName = "installation.yaml"

// exported is where a manifest stands in such a directory.
type exported struct {
	env   string // "" = production
	alias string // "" = as the branch is delivered
}

// exports are the directories of a commit that are of that form.
type exports map[string]bool

func exportsOf(list []file) exports {
	found := exports{}
	for _, f := range list {
		if path.Base(f.path) == installationName && f.mode != modeLink && f.mode != modeSubmodule {
			found[path.Dir(f.path)] = true
		}
	}
	return found
}

// of says where a manifest stands; ok is false where it counts for nothing, because it is a file of some code.
func (e exports) of(manifest string) (at exported, ok bool, err error) {
	top := ""
	for dir := path.Dir(manifest); ; dir = path.Dir(dir) {
		if e[dir] && strings.HasPrefix(pathIn(manifest, dir), "functions/") {
			top = dir // the outermost: there is none within code
		}
		if dir == "." {
			break
		}
	}
	if top == "" {
		return at, true, nil
	}
	parts := strings.Split(pathIn(manifest, top), "/")
	if len(parts) != 3 {
		return at, false, nil
	}
	if _, alias, other := strings.Cut(parts[1], "@"); other {
		at.alias = strings.ReplaceAll(alias, "@", "/")
		if err := function.CheckAlias(at.alias); err != nil {
			return at, true, fault.New(fault.Invalid, "%s: its directory's name says no alias: %w", oneLine(manifest), err)
		}
	}
	above, env := path.Split(top)
	if above = path.Clean(above); path.Base(above) == "environments" && e[path.Dir(above)] {
		if err := function.CheckEnvironment(env); err != nil {
			return at, true, fault.New(fault.Invalid, "%s: its directory says no environment: %w", oneLine(manifest), err)
		}
		at.env = env
	}
	return at, true, nil
}

// pathIn is a path as it is called in a directory above it.
func pathIn(name, dir string) string {
	if dir == "." {
		return name
	}
	return strings.TrimPrefix(name, dir+"/")
}

// target is where a branch delivers a function to. What stands for an alias or an environment of its own goes there, with the branch that
// delivers the others to live, or to nowhere.
func (d *delivered) target(branch string) function.Target {
	to := d.Deliver.Target(branch)
	if d.at.alias != "" && to.Alias != "" {
		if to.Alias != function.LiveAlias {
			return function.Target{}
		}
		to.Alias = d.at.alias
	}
	if d.at.env != "" && to.Alias != "" {
		if to.Env != "" && to.Env != d.at.env {
			return function.Target{}
		}
		to.Env = d.at.env
	}
	return to
}

// identity tells functions of a commit apart.
func (d *delivered) identity() string { return function.Full(d.at.env, d.Spec.Name) + "@" + d.at.alias }
