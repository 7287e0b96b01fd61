package git

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// manifestName is the file that declares functions, in whatever directory of a repository.
const manifestName = "dalamb.yaml"

// change is what a push does to one ref.
type change struct {
	update    update
	branch    string // "" = the ref is a tag
	commit    commit // of the branch now
	forced    bool   // the branch does not come after what it was
	files     []file // of the commit
	functions []*delivered
	gone      []goneAlias // what the branch delivered before, and does no longer
	notes     []string    // for the person who pushes
}

// goneAlias is an alias that a branch was delivered to.
type goneAlias struct {
	Name    string `json:"name"` // of the function
	Alias   string `json:"alias"`
	own     bool   // it has its name from the branch
	removed bool
}

// name is the branch or tag without what every ref begins with.
func (c *change) name() string {
	_, rest, _ := strings.Cut(c.update.ref, "/")
	_, name, _ := strings.Cut(rest, "/")
	if c.branch == "" {
		return "tag " + name
	}
	return name
}

// delivered is a function of a commit that the branch delivers to an alias.
type delivered struct {
	function.Declared
	manifest string // its path in the commit
	at       exported
	alias    string
	codeDir  string // in the commit; "" = it is an image
	code     string // digest, once it is packed
	build    string // id of the build that made the code; "" = none did
	image    string // digest of what it names, as it was checked; "" = it names none, or is built to be one
	made     wire.Deployed
}

func (d *delivered) request(origin *function.Origin) wire.DeployRequest {
	return wire.DeployRequest{Spec: d.Spec, Code: d.code, Alias: d.alias, Origin: origin, Build: d.build, ImageDigest: d.image}
}

// placeholder stands for code that is not packed yet; a dry run wants a name alone.
func (d *delivered) placeholder() string {
	if d.codeDir == "" || d.Spec.Image != "" {
		return ""
	}
	return "sha256:" + strings.Repeat("0", 64)
}

// read reads what the updates bring.
func (p *push) read(ctx context.Context, updates []update) ([]*change, error) {
	var changes []*change
	for _, u := range updates {
		c := &change{update: u}
		branch, isBranch := u.branch()
		if isBranch {
			c.branch = branch
			if err := p.readBranch(ctx, c); err != nil {
				return nil, err
			}
		} else {
			c.notes = append(c.notes, "tags are kept; branches are delivered")
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (p *push) readBranch(ctx context.Context, c *change) error {
	if c.update.new == "" {
		return p.readGone(ctx, c)
	}
	o := p.objects()
	var err error
	if c.commit, err = o.commit(ctx, c.update.new); err != nil {
		return err
	}
	if p.remote != nil {
		c.forced = p.remote.Forced // what was before the commit was not fetched
	} else if c.forced, err = o.replaced(ctx, c.update); err != nil {
		return err
	}
	if c.files, err = o.files(ctx, c.update.new); err != nil {
		return err
	}
	found, err := o.manifests(ctx, c.files)
	if err != nil {
		return fault.New(fault.KindOf(err), "%s %s cannot be delivered:\n%w", c.branch, short(c.commit.ID), err).WithHint("%s", fault.HintOf(err))
	}
	if err := c.choose(found); err != nil {
		return err
	}
	return p.readGone(ctx, c)
}

// readGone looks for functions that the branch delivered before and does no longer.
func (p *push) readGone(ctx context.Context, c *change) error {
	if c.update.old == "" {
		return nil
	}
	list, err := p.objects().files(ctx, c.update.old)
	if err != nil {
		return err
	}
	before, err := p.objects().manifests(ctx, list)
	if fault.KindOf(err) == fault.Invalid {
		return nil // an older dalamb took it; what it declared is not known
	}
	if err != nil {
		return err
	}
	for _, old := range before {
		to := old.target(c.branch)
		name := function.Full(to.Env, old.Spec.Name)
		there := slices.ContainsFunc(c.functions, func(f *delivered) bool { return f.Spec.Name == name && f.alias == to.Alias })
		if to.Alias != "" && !there && p.server.deployer.Primary(name, to.Alias) != 0 {
			c.gone = append(c.gone, goneAlias{Name: name, Alias: to.Alias, own: to.Own})
		}
	}
	return nil
}

// mayRemove refuses a push that would take aliases away from functions over which who pushes has no right.
func (c *change) mayRemove(ctx context.Context) error {
	var names []string
	for _, g := range c.gone {
		if g.own {
			names = append(names, g.Name)
		}
	}
	return access.From(ctx).Over(access.Deploy, names...)
}

// replaced says whether a branch loses commits.
func (o objects) replaced(ctx context.Context, u update) (bool, error) {
	if u.old == "" {
		return false, nil
	}
	cmd := o.command(ctx, "merge-base", "--is-ancestor", u.old, u.new)
	_, err := o.program.run(cmd)
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 1 { // git-merge-base(1)
		return true, nil
	}
	return false, err
}

// choose takes the functions that the branch is delivered for.
func (c *change) choose(found []*delivered) error {
	if len(found) == 0 {
		if (*function.Deliver)(nil).Target(c.branch).Alias == "" {
			c.notes = append(c.notes, "kept, not delivered: it has no "+manifestName)
			return nil
		}
		return fault.New(fault.Invalid, "%s %s has no %s", c.branch, short(c.commit.ID), manifestName).
			WithHint("a %s says what the function is called and how it is started; docs/functions.md", manifestName)
	}
	for _, f := range found {
		to := f.target(c.branch)
		if f.alias = to.Alias; f.alias != "" {
			f.Spec.Name = function.Full(to.Env, f.Spec.Name)
			c.functions = append(c.functions, f)
		}
	}
	if c.functions == nil {
		c.notes = append(c.notes, "kept, not delivered: deliver.branches names it for no function")
	}
	if len(exportsOf(c.files)) > 0 && c.functions != nil {
		c.notes = append(c.notes, "functions alone are delivered; dalamb apply makes topics and all else that "+installationName+" says")
	}
	for _, f := range c.files {
		if f.mode == modeSubmodule && slices.ContainsFunc(c.functions, func(d *delivered) bool { return inside(f.path, d.codeDir) }) {
			c.notes = append(c.notes, fmt.Sprintf("warning: %s is a submodule, which is not fetched; the code has nothing there", oneLine(f.path)))
		}
	}
	return nil
}

func inside(name, dir string) bool { return dir == "." || strings.HasPrefix(name, dir+"/") }
