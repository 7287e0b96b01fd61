package git

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// ErrStopping is the cause of deliveries whose build ended with the node: they are to be tried again.
var ErrStopping = build.ErrStopping

// checkedOut is a directory of a commit, and where it is checked out.
type checkedOut struct{ dir, at string }

// buildDir builds what of the functions is built, from a directory of the change's commit, and returns the others. What is
// built of the same directory in the same way is built once.
func (p *push) buildDir(ctx context.Context, c *change, from checkedOut, functions []*delivered) (asItIs []*delivered, err error) {
	root, err := os.OpenRoot(from.at)
	if err != nil {
		return nil, fmt.Errorf("open a checkout: %w", err)
	}
	defer root.Close()
	builds := map[string]*shared{}
	var order []*shared
	for _, f := range functions {
		how, err := f.Builds(f.manifest, statBelow(root, from.dir))
		if err != nil {
			return nil, err
		}
		if how == nil {
			asItIs = append(asItIs, f)
			continue
		}
		if p.server.builder == nil {
			return nil, fault.New(fault.Unavailable, "function %q is to be built, and this node builds nothing", f.Spec.Name)
		}
		r := build.Request{Dir: from.at, Build: *how, Function: f.Spec.Name, Scope: p.scope(c, f.Spec.Name), Origin: p.origin(c), Out: progress{p, f.Spec.Name}}
		if program, own := f.OwnProgram(); own {
			r.Programs = []string{program}
		}
		one := builds[r.Same()]
		if one == nil {
			one = &shared{request: r}
			builds[r.Same()], order = one, append(order, one)
		} else {
			one.request.Beside = append(one.request.Beside, f.Spec.Name)
		}
		one.functions = append(one.functions, f)
	}
	for _, one := range order {
		result, err := p.server.builder.Run(ctx, one.request)
		if err != nil {
			return nil, cause(ctx, err)
		}
		one.give(result)
	}
	return asItIs, nil
}

// shared is one build, and the functions whose code it makes.
type shared struct {
	request   build.Request
	functions []*delivered
}

func (s *shared) give(made *build.Result) {
	for _, f := range s.functions {
		f.code, f.build = made.Code, made.Built.ID
		if made.Image != "" {
			f.code, f.Spec.Image = "", made.Image
		}
	}
}

// scope is who shares what builds keep: those of one branch for one environment. Who may push to another branch of the repository puts nothing into what
// is made of this one, and what was made with the secrets of one environment is not in what another gets. What a tag names is built with what builds of
// tags have kept.
func (p *push) scope(c *change, fn string) string {
	scope := "tags of repository " + p.repository
	if c.branch != "" {
		scope = fmt.Sprintf("branch %q of repository %s", c.branch, p.repository)
	}
	if env := function.Environment(fn); env != "" {
		scope += " in environment " + env
	}
	return scope
}

// progress tells the person who pushes what a build says: each Write is one line.
type progress struct {
	push     *push
	function string
}

func (b progress) Write(line []byte) (int, error) {
	b.push.say("  %s: %s", b.function, bytes.TrimSuffix(line, []byte("\n")))
	return len(line), nil
}
