package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// push is one push, from the question of git's hook to its verdict.
type push struct {
	server     *Server
	repository string
	dir        string // of the repository
	quarantine string // where the objects of the push are until it is accepted; "" = it brings none
	pusher     string // as the client says; "" = it does not
	holder     *holder
	updates    []update
	out        io.Writer // to the person who pushes
	accepted   bool
	stray      bool // it makes a repository that another node has, too
	made       []PushedFunction
	remote     *Remote // what another server told of; nil = it is a push to this one
}

// key is what one push at a time has the turn of.
func (p *push) key(ref string) string {
	if p.remote != nil {
		return p.remote.key()
	}
	return p.repository + " " + ref
}

func (p *push) objects() objects {
	return objects{program: p.server.program, dir: p.dir, quarantine: p.quarantine}
}

// say writes a line to the person who pushes.
func (p *push) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, " %s\n", printable(fmt.Sprintf(format, args...))) // git is gone: nobody is there to read it
}

// refuse tells why; git ends then as one whose hook said no.
func (p *push) refuse(err error) {
	if fault.KindOf(err) == fault.Internal {
		p.server.logger.Error("git push", "repository", p.repository, "err", err)
	}
	for _, line := range complaint(err) {
		for one := range strings.Lines(line) {
			p.say("%s", strings.TrimRight(one, "\n"))
		}
	}
	_, _ = io.WriteString(p.out, "refuse\n")
}

// deliver makes of a push what its commits declare: all of it is read and checked first, then it is deployed.
func (p *push) deliver(ctx context.Context, updates []update) error {
	p.updates = updates
	keys, brings := make([]string, len(updates)), map[string]string{}
	for i, u := range updates {
		keys[i] = p.key(u.ref)
		brings[keys[i]] = u.new
	}
	if p.remote == nil { // else it has its turn already, and the other server has taken care that nothing is lost
		p.holder.brings, p.holder.has = brings, p.has
	}
	if err := p.server.turns.take(ctx, p.holder, keys); err != nil {
		return err
	}
	if err := p.checkOld(ctx); err != nil {
		return err
	}
	changes, err := p.read(ctx, updates)
	if err != nil {
		return err
	}
	if err := p.check(ctx, changes); err != nil {
		return err
	}
	if p.stray {
		p.say("warning: %s is made anew here, and was pushed to another node before, whose repository stays as it is; push to one of them alone", p.repository)
	}
	if err := p.pack(ctx, changes); err != nil {
		return err
	}
	if err := p.deploy(ctx, changes); err != nil {
		return err
	}
	if err := p.follow(ctx, changes); err != nil {
		return err
	}
	return p.server.tellLog(context.WithoutCancel(ctx), p, changes)
}

// has says whether what the push brings for a ref is an object, or has it before it. An object that git does not know is not among that.
func (p *push) has(ctx context.Context, key, object string) bool {
	lacks, err := p.objects().replaced(ctx, update{old: object, new: p.holder.brings[key]})
	return err == nil && !lacks
}

// cause is why ctx is done where it is, else err.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	return err
}

// checkOld refuses a push that knows other refs than there are: git would, but only after the deploy.
func (p *push) checkOld(ctx context.Context) error {
	now, err := p.refs(ctx)
	if err != nil {
		return err
	}
	for _, u := range p.updates {
		if now[u.ref] != u.old {
			return fault.New(fault.Conflict, "%s was pushed by somebody else at the same time", u.ref).WithHint("git fetch, look at it, then push again")
		}
	}
	return nil
}

// refs is where the repository has the refs of the push; one that is not there is not among them.
func (p *push) refs(ctx context.Context) (map[string]string, error) {
	args := []string{"--git-dir=" + p.dir, "for-each-ref", "--format=%(objectname) %(refname)"}
	for _, u := range p.updates {
		args = append(args, u.ref)
	}
	out, err := p.server.program.output(ctx, args...)
	if err != nil {
		return nil, err
	}
	now := map[string]string{}
	for line := range strings.Lines(string(out)) {
		id, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		now[ref] = id
	}
	return now, nil
}

// check lets the node refuse before anything is built or deployed.
func (p *push) check(ctx context.Context, changes []*change) error {
	var problems []error
	for _, c := range changes {
		problems = append(problems, c.mayRemove(ctx))
		reqs := p.requests(c)
		for i, f := range c.functions {
			reqs[i].Code, reqs[i].DryRun = f.placeholder(), true
		}
		found, errs := p.server.deployer.Check(ctx, reqs)
		for i, err := range errs {
			if f := c.functions[i]; err == nil && f.Build != nil {
				err = p.server.deployer.MayBuild(ctx, f.Spec.Name, f.Build)
			}
			if err != nil {
				err = inFile(c.functions[i].manifest, err)
			}
			problems = append(problems, err)
		}
		for i := range found {
			c.functions[i].image = found[i].Found()
		}
	}
	return fault.All(problems)
}

// requests are those of all functions of a change.
func (p *push) requests(c *change) []wire.DeployRequest {
	var reqs []wire.DeployRequest
	for _, f := range c.functions {
		reqs = append(reqs, f.request(p.origin(c)))
	}
	return reqs
}

// inFile says in which manifest a function is that an error is about.
func inFile(manifest string, err error) error {
	return fault.New(fault.KindOf(err), "%s: %w", manifest, err).WithHint("%s", fault.HintOf(err))
}

// origin is what a version records of where it came from.
func (p *push) origin(c *change) *function.Origin {
	if p.remote != nil {
		return p.remote.originOf(c, p.pusher)
	}
	return &function.Origin{
		Kind: function.OriginGit, Repository: p.repository, Commit: c.commit.ID, Branch: oneLine(c.branch), Author: c.commit.Author, Pusher: p.pusher,
	}
}

// deployPatience bounds what nothing else ends any longer.
const deployPatience = 15 * time.Minute

// conflictTries is how often a deploy is tried that others get in the way of.
const conflictTries = 5

// deploy makes the versions. From here on nobody ends the push, unless it waits for a roll-out: what is deployed is to be what the ref names.
func (p *push) deploy(ctx context.Context, changes []*change) error {
	s := p.server
	select {
	case s.deploying <- struct{}{}:
		defer func() { <-s.deploying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !s.turns.fix(p.holder) {
		return s.turns.reason(p.holder)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deployPatience)
	defer cancel()
	for i, c := range changes {
		p.tell(c)
		if err := p.release(ctx, c); err != nil {
			return broken(changes[:i], err)
		}
		if err := p.removeGone(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// release releases the functions of one branch together.
func (p *push) release(ctx context.Context, c *change) error {
	if c.functions == nil {
		return nil
	}
	before := make([]int, len(c.functions))
	for i, f := range c.functions {
		before[i] = p.server.deployer.Primary(f.Spec.Name, f.alias)
	}
	err := retried(func() error {
		made, err := p.server.deployer.Release(ctx, p.requests(c))
		c.note(made)
		return err
	})
	p.tellMade(c, before)
	if err != nil && len(c.functions) == 1 {
		return inFile(c.functions[0].manifest, err)
	}
	return err
}

// note keeps what a release has made. One that is tried again finds what it made before.
func (c *change) note(made []wire.Deployed) {
	for i, one := range made {
		old := c.functions[i].made
		if old.Version == one.Version {
			one.Created, one.Moved = one.Created || old.Created, one.Moved || old.Moved
		}
		c.functions[i].made = one
	}
}

// tellMade says what has become of the functions of a change; before are the versions that their aliases pointed at.
func (p *push) tellMade(c *change, before []int) {
	for i := range c.functions {
		one := c.functions[i].made
		if one.Version == 0 {
			continue // it was not released
		}
		p.say("  %-20s version %d (%s)  %s", one.Function, one.Version, one.Alias, what(one, before[i]))
		for _, w := range one.Warnings {
			p.say("    warning: %s", w)
		}
	}
}

// removeGone takes the aliases away that were the branch's own. Others stay: another branch may be delivered to them too, and the triggers of
// what is live may have events that wait.
func (p *push) removeGone(ctx context.Context, c *change) error {
	d := p.server.deployer
	for i := range c.gone {
		g := &c.gone[i]
		if !g.own {
			how := "dalamb alias rm " + g.Name + " " + g.Alias
			if g.Alias == function.LiveAlias {
				how = "dalamb remove " + g.Name
			}
			p.say("  %-20s version %d (%s)  stays, though the branch delivers it no longer; %s takes it away", g.Name, d.Primary(g.Name, g.Alias), g.Alias, how)
			continue
		}
		err := retried(func() error { return d.RemoveAlias(ctx, g.Name, g.Alias) })
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return fmt.Errorf("remove the alias %s of %s: %w", g.Alias, g.Name, err)
		}
		g.removed = true
		p.say("  %-20s alias %s is removed; its versions stay", g.Name, g.Alias)
	}
	return nil
}

// retried tries again where another writer changed the same function in between.
func retried(change func() error) (err error) {
	for range conflictTries {
		if err = change(); fault.KindOf(err) != fault.Conflict {
			break
		}
	}
	return err
}

// what says what a deploy was to an alias that pointed at another version before.
func what(d wire.Deployed, before int) string {
	switch {
	case d.Rollout != 0:
		return "is rolled out"
	case d.Version != before && !d.Moved:
		return "is there, and its roll-out has not started"
	case d.Created:
		return "deployed"
	case d.Version == before:
		return "unchanged"
	}
	if before == 0 {
		return "nothing new in it; the alias is new"
	}
	return fmt.Sprintf("nothing new in it; the alias was at version %d", before)
}

// broken says what the branches before have brought when another's release is refused, which no check could see.
func broken(before []*change, err error) error {
	var names []string
	for _, c := range before {
		for _, f := range c.functions {
			if f.made.Created {
				names = append(names, fmt.Sprintf("%s version %d", f.made.Function, f.made.Version))
			}
		}
	}
	if names == nil {
		return err
	}
	return fault.New(fault.KindOf(err), "%w\ndeployed already: %s", err, strings.Join(names, ", ")).WithHint("push again: what is there is not made again")
}

// tell says what a change is.
func (p *push) tell(c *change) {
	switch {
	case c.update.new == "":
		p.say("%s is deleted", c.name())
	case c.branch == "":
		p.say("%s", c.name())
	default:
		p.say("%s %s (%s: %s)", c.branch, short(c.commit.ID), c.commit.Author, c.commit.Subject)
	}
	for _, note := range c.notes {
		p.say("  %s", note)
	}
}

// printable keeps escape sequences and other control characters from a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
