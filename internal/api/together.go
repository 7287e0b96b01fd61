package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxTogether bounds how many functions are released together.
const maxTogether = 1000

func (a *API) releaseAll(r *http.Request, _ query) (any, error) {
	var req wire.ReleaseRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if len(req.Functions) == 0 || len(req.Functions) > maxTogether {
		return nil, fault.New(fault.Invalid, "functions: %d are named; from 1 to %d are released together", len(req.Functions), maxTogether)
	}
	for i := range req.Functions {
		req.Functions[i].DryRun = req.DryRun
	}
	if req.DryRun {
		parts, errs := a.check(r.Context(), req.Functions)
		if req.Images && !slices.ContainsFunc(errs, isError) {
			errs = a.bring(r.Context(), parts)
		}
		if err := allRefused(req.Functions, errs); err != nil {
			return nil, err
		}
		return wire.Released{Functions: made(parts)}, nil
	}
	done, err := a.Release(r.Context(), req.Functions)
	if err != nil {
		return nil, err
	}
	return wire.Released{Functions: done}, nil
}

// part is one function of a release.
type part struct {
	req    wire.DeployRequest
	out    wire.Deployed
	image  *function.Image
	digest string
	kept   []string          // the names of those of its triggers that are there because a rule has them
	rolls  bool              // the alias moves by a roll-out
	rolled bool              // and that has started, or is not needed
	same   *function.Version // that is there already; nil = none
	shifts bool              // to same, whose triggers were looked at in a view that may be over
	other  string            // the warning that somebody else moved the alias before; "" = nobody did, or it does not move
}

// Release makes a version of each function and points aliases at them: all of it or nothing, by one append. Everything is checked, and every image is
// here, before that. Roll-outs start afterwards, each by itself; where one does not, what is made is returned with the error, which says it, too.
// A function that is released for several aliases is so one after another, the others with the first.
func (a *API) Release(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, error) {
	parts, errs := a.check(ctx, reqs)
	if err := allRefused(reqs, errs); err != nil {
		return nil, err
	}
	for _, p := range parts {
		var err error
		if p.image, err = a.prepareImage(ctx, &p.req.Spec, &p.out); err != nil {
			return nil, named(reqs, p.req.Spec.Name, err)
		}
		if err := p.sameImage(); err != nil {
			return nil, named(reqs, p.req.Spec.Name, err)
		}
	}
	for i, round := range rounds(parts) {
		if err := a.persist(ctx, round, func() error { return a.appendAll(ctx, round) }); err != nil {
			if refused, ok := errors.AsType[*catalog.Refused](err); ok {
				err = named(reqs, round[refused.Index].req.Spec.Name, refused.Err)
			}
			if i == 0 {
				return nil, err
			}
			return made(parts), afterSome(err, parts)
		}
	}
	var failed []error
	for _, p := range parts {
		if err := a.finish(ctx, p); err != nil {
			failed = append(failed, named(reqs, p.req.Spec.Name, err))
		}
	}
	if err := fault.All(failed); err != nil {
		return made(parts), afterSome(err, parts)
	}
	return made(parts), nil
}

// sameImage refuses an image that is another than the one that was checked: its tag has moved since.
func (p *part) sameImage() error {
	before, now := p.req.ImageDigest, p.out.Found()
	if before == "" || before == now {
		return nil
	}
	return fault.New(fault.Conflict, "image %s of function %q is another than the one that was checked: it was %s, and is %s", p.out.Image.Reference, p.req.Spec.Name, before, now).
		WithHint("nothing is released; do it again to check and release the new one, or name it by its digest")
}

// Check says of each function why a release of all of them would be refused; nil = it would not, and then its image is here, too. It returns what it
// found, among it the digests of images.
func (a *API) Check(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, []error) {
	parts, errs := a.check(ctx, reqs)
	if !slices.ContainsFunc(errs, isError) {
		errs = a.bring(ctx, parts)
	}
	return made(parts), errs
}

func isError(err error) bool { return err != nil }

// check refuses what can be refused before an image is looked for.
func (a *API) check(ctx context.Context, reqs []wire.DeployRequest) ([]*part, []error) {
	beside := together(slices.Clone(reqs))
	kept := make([][]string, len(reqs))
	for i := range beside {
		if beside[i].Alias == "" {
			beside[i].Alias = function.LiveAlias
		}
		kept[i] = a.keepRules(a.catalog.View(), &beside[i])
	}
	var parts []*part
	errs := beside.notFor(access.From(ctx))
	refused := slices.ContainsFunc(errs, isError)
	for i := range beside {
		p := &part{req: beside[i], kept: kept[i]}
		p.out = wire.Deployed{Function: p.req.Spec.Name, Alias: p.req.Alias}
		parts = append(parts, p)
		if refused {
			continue // what else is wrong is nothing for who has no right over all of them
		}
		if beside.twice(i) {
			errs[i] = fault.New(fault.Invalid, "function %q is released twice for the alias %s", p.req.Spec.Name, p.req.Alias)
			continue
		}
		if errs[i] = a.checkDeploy(ctx, &p.req, beside); errs[i] == nil {
			p.out.Warnings = slices.Concat(a.warnings(ctx, &p.req.Spec, beside), shares(&p.req.Spec), a.unstartable(ctx, &p.req), a.losses(ctx, &p.req))
		}
	}
	return parts, errs
}

// bring brings the images of functions that are checked.
func (a *API) bring(ctx context.Context, parts []*part) []error {
	errs := make([]error, len(parts))
	for i, p := range parts {
		if p.req.DryRun && p.req.Spec.Image == function.ToBeBuilt {
			continue // a build will bring it
		}
		_, errs[i] = a.prepareImage(ctx, &p.req.Spec, &p.out)
	}
	return errs
}

// rounds are the parts that are released together: of one function there is one in each.
func rounds(parts []*part) [][]*part {
	var all [][]*part
	nth := map[string]int{}
	for _, p := range parts {
		n := nth[p.req.Spec.Name]
		nth[p.req.Spec.Name]++
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], p)
	}
	return all
}

// appendAll appends what parts change, each of another function.
func (a *API) appendAll(ctx context.Context, parts []*part) error {
	view := a.catalog.View()
	var changes []catalog.Change
	var changed []*part
	for i, p := range parts {
		change, err := a.change(ctx, view, p)
		if err != nil {
			return &catalog.Refused{Index: i, Err: err}
		}
		if change != nil {
			changes, changed = append(changes, change), append(changed, p)
		}
	}
	view, err := a.catalog.SubmitAll(ctx, changes)
	if refused, ok := errors.AsType[*catalog.Refused](err); ok {
		return &catalog.Refused{Index: slices.Index(parts, changed[refused.Index]), Err: refused.Err}
	}
	if err != nil {
		return err
	}
	for _, p := range changed {
		p.out.Moved = !p.rolls
		if p.same != nil {
			continue
		}
		f, err := view.Function(p.req.Spec.Name)
		if err != nil {
			return err // removed again at once by somebody else
		}
		version := versionOf(f, p.digest)
		if version == nil {
			return fmt.Errorf("version with digest %s is not in the catalog after its deploy", p.digest)
		}
		p.out.Version, p.out.Created = version.Number, true
	}
	return nil
}

// change is what has to be appended for a part; nil = nothing.
func (a *API) change(ctx context.Context, view *catalog.View, p *part) (catalog.Change, error) {
	name := p.req.Spec.Name
	p.rolls, p.shifts, p.other = rolls(view, &p.req), false, ""
	a.withRules(view, p)
	if f, err := view.Function(name); err == nil {
		if err := f.Unchanged(p.req.Expects); err != nil {
			return nil, err
		}
		if p.same = versionOf(f, p.digest); p.same != nil {
			p.out.Version = p.same.Number
			at := f.Aliases[p.req.Alias]
			if p.rolls || at.Primary == p.same.Number && len(at.Weights) == 0 {
				if at.Primary != p.same.Number {
					p.other = otherDeliverer(f, &p.req)
				}
				return nil, nil
			}
			p.other = otherDeliverer(f, &p.req)
			// Decided upon this function: the version has triggers of rules that these may give up meanwhile, which takes a version more.
			p.shifts = p.req.Expects == nil
			return catalog.Shift{
				Function: name, Alias: function.Alias{Name: p.req.Alias, Primary: p.same.Number}, Deliverer: catalog.Deliverer(p.req.Origin), Expects: &f.Last,
			}, nil
		}
		p.other = otherDeliverer(f, &p.req)
	}
	version := function.Version{Code: p.req.Code, Digest: p.digest, Created: a.now().UTC(), Image: p.image, Origin: p.req.Origin, Spec: p.req.Spec}
	if p.req.Build != "" {
		var err error
		if version.Built, err = a.built(&p.req); err != nil {
			return nil, err
		}
	}
	if err := a.share(ctx, &version); err != nil {
		return nil, err
	}
	if err := a.open(ctx, name); err != nil {
		return nil, err
	}
	return catalog.Deploy{
		Version: version, Alias: p.req.Alias, Aside: p.rolls, Expects: p.req.Expects, Needed: a.neededOf(ctx, name),
		Amend: func(view *catalog.View, v *function.Version) {
			a.withRules(view, p)
			v.Spec, v.Digest = p.req.Spec, p.digest
		},
	}, nil
}

// finish starts the roll-out of a part whose version is there.
func (a *API) finish(ctx context.Context, p *part) error {
	if p.rolls {
		if err := a.persist(ctx, []*part{p}, func() error { return a.rollOut(ctx, &p.req, &p.out) }); err != nil {
			return err
		}
		p.rolled = true
	}
	if p.same != nil && p.out.Rollout == 0 && !p.out.Moved && !reflect.DeepEqual(p.same.Spec.Rollout, p.req.Spec.Rollout) {
		p.out.Warnings = append(p.out.Warnings, "rollout: is not what this version was deployed with; it counts from the next version on, which is deployed with it")
	}
	if p.other != "" {
		p.out.Warnings = append(p.out.Warnings, p.other)
	}
	a.tellSchedules(&p.out)
	return nil
}

// persist tries again where a roll-out that is under way took its next step first, which changes the function by itself, and where somebody else changed
// one that is to shift to a version that is there: whether it still is the right one is to be seen.
func (a *API) persist(ctx context.Context, parts []*part, change func() error) error {
	for left := rolloutTries - 1; ; left-- {
		rolling := slices.ContainsFunc(parts, func(p *part) bool { return a.rolling(p.req.Spec.Name) })
		err := change()
		again := rolling || slices.ContainsFunc(parts, func(p *part) bool { return p.shifts })
		if fault.KindOf(err) != fault.Conflict || !again || left == 0 || ctx.Err() != nil {
			return err
		}
	}
}

// rolling says whether a roll-out of a function is under way.
func (a *API) rolling(fn string) bool {
	f, err := a.catalog.View().Function(fn)
	return err == nil && slices.ContainsFunc(f.Rollouts, (*catalog.Rollout).Active)
}

func made(parts []*part) []wire.Deployed {
	var done []wire.Deployed
	for _, p := range parts {
		done = append(done, p.out)
	}
	return done
}

// named says which of several functions an error is about.
func named(reqs []wire.DeployRequest, name string, err error) error {
	if len(reqs) == 1 {
		return err
	}
	return fmt.Errorf("deploy %s: %w", name, err)
}

// allRefused is one error for those of several functions, each on a line of its own; nil = there are none.
func allRefused(reqs []wire.DeployRequest, errs []error) error {
	problems := make([]error, len(errs))
	for i, err := range errs {
		if err != nil {
			problems[i] = named(reqs, reqs[i].Spec.Name, err)
		}
	}
	return fault.All(problems)
}

// afterSome says what is released already when the rest is not.
func afterSome(err error, parts []*part) error {
	var done []string
	for _, p := range parts {
		switch at := p.out; {
		case at.Version == 0:
		case p.rolls && !p.rolled:
			done = append(done, fmt.Sprintf("%s version %d (%s does not point at it yet)", at.Function, at.Version, at.Alias))
		default:
			done = append(done, fmt.Sprintf("%s version %d (%s)", at.Function, at.Version, at.Alias))
		}
	}
	if done == nil {
		return err
	}
	hint := "do it again: what is there is not made again"
	if first := fault.HintOf(err); first != "" {
		hint = first + "; then " + hint
	}
	return fault.New(fault.KindOf(err), "%w; released already: %s", err, strings.Join(done, ", ")).WithHint("%s", hint)
}

// together are the functions that are released together.
type together []wire.DeployRequest

// notFor are the errors of those that somebody may not deploy.
func (t together) notFor(who access.Actor) []error {
	errs := make([]error, len(t))
	for i := range t {
		errs[i] = who.Over(access.Deploy, t[i].Spec.Name)
	}
	return errs
}

// twice says whether an earlier one is about the same function and alias.
func (t together) twice(i int) bool {
	return slices.ContainsFunc(t[:i], func(o wire.DeployRequest) bool { return o.Spec.Name == t[i].Spec.Name && o.Alias == t[i].Alias })
}

// has says whether a function is among them.
func (t together) has(name string) bool {
	return slices.ContainsFunc(t, func(o wire.DeployRequest) bool { return o.Spec.Name == name })
}

// moves says whether a function is among them whose triggers will be the new ones', at once or by a roll-out.
func (t together) moves(name string) bool {
	return slices.ContainsFunc(t, func(o wire.DeployRequest) bool { return o.Spec.Name == name && o.Alias == function.LiveAlias })
}

// live says whether a function is among them whose triggers are the new ones' at once.
func (t together) live(view *catalog.View, name string) bool {
	return slices.ContainsFunc(t, func(o wire.DeployRequest) bool {
		return o.Spec.Name == name && o.Alias == function.LiveAlias && !rolls(view, &o)
	})
}

// others are those beside one whose triggers will be the new ones', those of another environment not among them.
func (t together) others(spec *function.Spec) []*function.Spec {
	var all []*function.Spec
	for i := range t {
		o := &t[i].Spec
		if o.Name != spec.Name && t[i].Alias == function.LiveAlias && function.Environment(o.Name) == function.Environment(spec.Name) {
			all = append(all, o)
		}
	}
	return all
}
