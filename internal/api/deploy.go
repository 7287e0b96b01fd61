package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) deploy(r *http.Request, _ query) (any, error) {
	var req wire.DeployRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	out, err := a.Deploy(r.Context(), req)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Deploy makes a version and points an alias at it. It checks everything before it appends anything: what is refused has changed nothing.
func (a *API) Deploy(ctx context.Context, req wire.DeployRequest) (wire.Deployed, error) {
	var done []wire.Deployed
	var err error
	if req.DryRun {
		parts, errs := a.check(ctx, []wire.DeployRequest{req})
		done, err = made(parts), errs[0]
	} else {
		done, err = a.Release(ctx, []wire.DeployRequest{req})
	}
	if err != nil {
		return wire.Deployed{}, err
	}
	return done[0], nil
}

// share puts the files of a version where other nodes find them.
func (a *API) share(ctx context.Context, v *function.Version) error {
	if v.Code != "" {
		stored, err := a.code.Share(ctx, v.Code)
		if err != nil {
			return err
		}
		v.Stored = stored
	}
	if v.Image != nil {
		return a.images.Publish(ctx, v.Image)
	}
	return nil
}

// versionOf is the newest version with a digest; nil = none.
func versionOf(f *catalog.Function, digest string) *function.Version {
	for _, v := range slices.Backward(f.Versions) {
		if v.Digest == digest {
			return v
		}
	}
	return nil
}

// checkDeploy refuses what would be refused beside what is deployed together with it.
func (a *API) checkDeploy(ctx context.Context, req *wire.DeployRequest, beside together) error {
	if err := req.Spec.Validate(); err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return f // all problems on one line
		}
		return err
	}
	if req.Origin != nil {
		if err := req.Origin.Validate(); err != nil {
			return err
		}
	}
	if err := function.CheckAlias(req.Alias); err != nil {
		return err
	}
	if err := a.checkBuilt(req); err != nil {
		return err
	}
	if err := a.place(ctx, &req.Spec); err != nil {
		return err
	}
	// By the names that they have in the function's environment: a plain one is not what is taken.
	if err := a.mayTake(ctx, req.Spec.SecretNames()); err != nil {
		return err
	}
	if err := a.mayHear(access.From(ctx), &req.Spec); err != nil {
		return err
	}
	if err := a.mayReach(access.From(ctx), &req.Spec); err != nil {
		return err
	}
	if err := a.checkCode(req); err != nil {
		return err
	}
	if err := a.checkDocuments(req); err != nil {
		return err
	}
	if err := a.checkIsolation(ctx, &req.Spec); err != nil {
		return err
	}
	if err := a.checkImage(ctx, &req.Spec); err != nil {
		return err
	}
	if err := a.checkValues(ctx, &req.Spec); err != nil {
		return err
	}
	if err := a.checkTopics(ctx, &req.Spec); err != nil {
		return err
	}
	if err := a.checkSchedules(&req.Spec); err != nil {
		return err
	}
	if err := a.checkNamed(&req.Spec, beside); err != nil {
		return err
	}
	return a.checkRoutes(&req.Spec, beside)
}

// checkIsolation refuses what this node would not start.
func (a *API) checkIsolation(ctx context.Context, spec *function.Spec) error {
	runner, err := a.fence(ctx, spec)
	if err != nil {
		return fmt.Errorf("function %q asks for runner: %s: %w", spec.Name, spec.Runner, err)
	}
	if err := checkNetwork(runner, spec); err != nil {
		return err
	}
	if err := checkCaller(runner, spec); err != nil {
		return err
	}
	lacks := runner.Lacks
	if spec.Isolation != function.IsolationStrict || len(lacks) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "function %q demands isolation: strict, and this node does not give %s", spec.Name, strings.Join(lacks, ", ")).
		WithHint("dalamb doctor says how to get it; without isolation: strict the function runs behind what fence there is")
}

// checkCode wants the code to be here, or for a dry run just to have a name; and none for a function that is an image.
func (a *API) checkCode(req *wire.DeployRequest) error {
	if req.Spec.Image != "" {
		if req.Code != "" {
			return fault.New(fault.Invalid, "function %q is an image and has code too", req.Spec.Name).WithHint("to lay code upon an image, name it as base")
		}
		return nil
	}
	if _, err := image.ParseDigest(req.Code); err != nil {
		return err
	}
	if !req.DryRun && !a.code.Has(req.Code) {
		return fault.New(fault.NotFound, "the code %s of function %q is not here", req.Code, req.Spec.Name).
			WithHint("upload it first: PUT /v1/code/%s", req.Code)
	}
	return nil
}

// checkNetwork does the same for a way out. A runner without any isolation gives all of the machine's network, and the warnings say so.
func checkNetwork(runner wire.Runner, spec *function.Spec) error {
	if spec.Network != function.NetworkEgress || runner.Egress || !runner.Isolated {
		return nil
	}
	return fault.New(fault.Unavailable, "function %q wants network: egress, which the runner %s of this node cannot give", spec.Name, runner.Name).
		WithHint("the notes of dalamb doctor say why and how to get it; network: none needs nothing")
}

func (a *API) checkTopics(ctx context.Context, spec *function.Spec) error {
	names, err := a.topicNames(ctx, function.Environment(spec.Name))
	if err != nil {
		return err
	}
	if a := spec.Async; a != nil {
		for _, d := range []*function.Destination{a.OnSuccess, a.OnFailure} {
			if d != nil && d.Topic != "" && !slices.Contains(names, d.Topic) {
				return missingTopic(spec.Name, d.Topic, names)
			}
		}
	}
	for _, t := range spec.Triggers {
		wanted := []string{t.Topic}
		for _, d := range []*function.Destination{t.OnSuccess, t.OnFailure} {
			if d != nil {
				wanted = append(wanted, d.Topic)
			}
		}
		if t.Emit != nil {
			wanted = append(wanted, t.Emit.Topic)
		}
		if t.Route != nil && t.Route.Await != nil {
			wanted = append(wanted, t.Route.Await.Topic)
		}
		for _, name := range wanted {
			if name != "" && !slices.Contains(names, name) {
				return within(spec, t, missingTopic(spec.Name, name, names))
			}
		}
	}
	return nil
}

// within says which trigger an error is about.
func within(spec *function.Spec, t function.Trigger, e *fault.Error) error {
	wrapped := fault.New(e.Kind, "function %q, trigger %q: %w", spec.Name, t.Name, e)
	wrapped.Hint = e.Hint
	return wrapped
}

// checkRoutes refuses a route that meets the same requests as another function's. The new version's own routes take the place
// of the old one's. Those of another environment meet other requests. A function beside it that moves by a roll-out has its old routes until that
// ends, and its new ones then: never both.
func (a *API) checkRoutes(spec *function.Spec, beside together) error {
	env, view := function.Environment(spec.Name), a.catalog.View()
	var first, last []function.RouteOf // what is there at once, and after all roll-outs
	for _, r := range view.Routes() {
		if function.Environment(r.Function) != env {
			if err := hostTaken(spec, r); err != nil {
				return err
			}
			continue
		}
		if r.Function == spec.Name {
			continue
		}
		route := function.RouteOf{Function: r.Function, Trigger: r.Trigger.Name, Route: *r.Trigger.Route}
		if !beside.live(view, r.Function) {
			first = append(first, route)
		}
		if !beside.moves(r.Function) {
			last = append(last, route)
		}
	}
	for _, o := range beside.others(spec) {
		if beside.live(view, o.Name) {
			first = append(first, o.Routes()...)
		}
		last = append(last, o.Routes()...)
	}
	if err := function.RouteConflict(append(first, spec.Routes()...)); err != nil {
		return err
	}
	return function.RouteConflict(append(last, spec.Routes()...))
}

func isRoute(fn, name string) error {
	return fault.New(fault.Invalid, "trigger %q of function %q is a route and cannot be paused", name, fn).
		WithHint("deploy the function without the route, or remove it")
}

// losses say which triggers go away with events that wait for them: those of the live version whose name and topic the new
// one does not have.
func (a *API) losses(ctx context.Context, req *wire.DeployRequest) []string {
	f, err := a.catalog.View().Function(req.Spec.Name)
	if err != nil || req.Alias != function.LiveAlias {
		return nil // nothing is there that could go
	}
	var ws []string
	waiting := a.waiting(ctx, f)
	for _, t := range f.Triggers {
		stays := t.Name == function.InvokeTrigger || hasTrigger(&req.Spec, t)
		switch n := waiting[t.Name]; {
		case stays || n == 0:
		case n == 1:
			ws = append(ws, fmt.Sprintf("trigger %q goes away with 1 event waiting; it ends as discarded", t.Name))
		default:
			ws = append(ws, fmt.Sprintf("trigger %q goes away with %d events waiting; they end as discarded", t.Name, n))
		}
	}
	return ws
}

// warnings are what a person should know who deploys this here.
func (a *API) warnings(ctx context.Context, spec *function.Spec, beside together) []string {
	var ws []string
	runner := a.runnerOf(ctx, spec)
	if !runner.Isolated {
		ws = append(ws, fmt.Sprintf("it runs without isolation: the runner %s fences nothing", runner.Name))
	} else if spec.Network == function.NetworkHost {
		ws = append(ws, "it shares the machine's network (network: host)")
	}
	for _, name := range spec.DestinationFunctions() {
		if _, err := a.catalog.View().Function(name); err != nil && name != spec.Name && !beside.has(name) {
			ws = append(ws, fmt.Sprintf("outcomes go to function %q, which is not there: they are lost until it is", name))
		}
	}
	for _, limit := range []string{"memory", "cpu", "pids", "files", "tmp"} {
		if runner.Isolated && !slices.Contains(runner.Limits, limit) {
			ws = append(ws, fmt.Sprintf("resources.%s is not enforced on this machine", limit))
		}
	}
	return ws
}
