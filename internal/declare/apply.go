package declare

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Try asks the node whether it would refuse the functions to deploy, all of them together. What this plan makes first is not there yet: a function
// that names something of that is tried without all that could.
func (p *Plan) Try(ctx context.Context, have *State, node *client.Client) error {
	return p.try(ctx, have, node, false)
}

// Prepare has everything on the node that the functions to deploy need, before anything is changed: their code, which it builds where
// that is to be, and their images. What a build says goes to say.
func (p *Plan) Prepare(ctx context.Context, have *State, node *client.Client, say func(function, line string)) error {
	for _, f := range p.deploys() {
		if err := f.bring(ctx, node, say); err != nil {
			return err
		}
	}
	return p.try(ctx, have, node, true)
}

func (p *Plan) try(ctx context.Context, have *State, node *client.Client, images bool) error {
	req := wire.ReleaseRequest{DryRun: true, Images: images}
	for _, f := range p.deploys() {
		one := f.request()
		if !f.canBeTried(have) {
			one.Spec = alone(f.Spec)
		}
		if one.Code == "" && one.Spec.Image == "" {
			one.Code = f.Source // a dry run wants a name alone
		}
		req.Functions = append(req.Functions, one)
	}
	if req.Functions == nil {
		return nil
	}
	found, err := node.Release(ctx, req)
	if err != nil {
		return named(req.Functions, err)
	}
	p.warned = found
	for i, f := range p.deploys() {
		f.image = found[i].Found()
		p.warned[i].Warnings = append(found[i].Warnings, f.unstartable(found[i].Warnings)...)
	}
	return nil
}

// Warned are the functions to deploy, each with what a person should know of it before it is: what Try was told, and what the code lacks, which the
// node has not seen yet.
func (p *Plan) Warned() []wire.Deployed { return p.warned }

// named says which function an error is about where there is only one; of several the node says it.
func named(functions []wire.DeployRequest, err error) error {
	if err == nil || len(functions) > 1 {
		return err
	}
	return fmt.Errorf("deploy %s: %w", functions[0].Spec.Name, err)
}

// deploys are the functions that the plan deploys.
func (p *Plan) deploys() []*Function {
	var all []*Function
	for _, s := range p.Steps {
		if s.deploy != nil {
			all = append(all, s.deploy)
		}
	}
	return all
}

// canBeTried says whether a function names only what is there. What this plan makes first, the node would miss.
func (f *Function) canBeTried(have *State) bool {
	for _, name := range f.Spec.ConfigNames() {
		if _, there := have.Config[name]; !there {
			return false
		}
	}
	for _, name := range f.Spec.Topics() {
		own := function.Full(function.Environment(f.Spec.Name), function.TopicEvents) // is made by the deploy
		if name != own && !slices.Contains(have.elsewhere, name) && !slices.ContainsFunc(have.Topics, func(t function.DeclaredTopic) bool { return t.Name == name }) {
			return false
		}
	}
	return true
}

// Apply does all steps, and tells of each before it is done; the functions are released together. It stops at the first that fails; applied
// again, the rest is done. It returns what became of the functions.
func (p *Plan) Apply(ctx context.Context, node *client.Client, tell func(Step)) (done []wire.Deployed, err error) {
	for left := p.Steps; len(left) > 0; {
		var req wire.ReleaseRequest
		for len(left) > 0 && left[0].deploy != nil {
			tell(left[0])
			req.Functions = append(req.Functions, left[0].deploy.request())
			left = left[1:]
		}
		if req.Functions != nil {
			if done, err = node.Release(ctx, req); err != nil {
				return nil, named(req.Functions, err)
			}
			continue
		}
		s := left[0]
		left = left[1:]
		tell(s)
		if err := s.act.do(ctx, node); err != nil {
			return done, fmt.Errorf("%s %s: %w", s.Verb, s.What, err)
		}
	}
	return done, nil
}

// Functions are those that the plan deploys.
func (p *Plan) Functions() []function.Spec {
	var all []function.Spec
	for _, f := range p.deploys() {
		all = append(all, f.Spec)
	}
	return all
}

// action does a step.
type action interface {
	do(ctx context.Context, node *client.Client) error
}

type (
	createTopic struct{ t function.DeclaredTopic }
	alterTopic  struct{ t function.DeclaredTopic }
	setConfig   struct{ name, value string }
	pause       struct {
		path   string
		paused bool
	}
	removeAlias    struct{ fn, alias string }
	removeConfig   string
	removeFunction string
)

func (a createTopic) do(ctx context.Context, node *client.Client) error {
	t := a.t
	_, err := node.CreateTopic(ctx, wire.TopicCreate{
		Name: t.Name, Partitions: int32(t.Partitions), Retention: t.Retention, MaxBytes: t.MaxBytes, Compact: t.Compact, Rules: t.Rules().Change(),
	})
	return err
}

func (a alterTopic) do(ctx context.Context, node *client.Client) error {
	t, change := a.t, wire.TopicAlter{Rules: a.t.Rules().Change()}
	if t.Partitions > 0 {
		partitions := int32(t.Partitions)
		change.Partitions = &partitions
	}
	if t.Retention != "" {
		change.Retention = &t.Retention
	}
	if t.MaxBytes != "" {
		change.MaxBytes = &t.MaxBytes
	}
	_, err := node.AlterTopic(ctx, t.Name, change)
	return err
}

func (a setConfig) do(ctx context.Context, node *client.Client) error {
	_, err := node.SetConfig(ctx, a.name, a.value)
	return err
}

func (a removeConfig) do(ctx context.Context, node *client.Client) error {
	return node.RemoveConfig(ctx, string(a))
}

func (a removeFunction) do(ctx context.Context, node *client.Client) error {
	_, err := node.Remove(ctx, string(a))
	return err
}

func (a removeAlias) do(ctx context.Context, node *client.Client) error {
	_, err := node.RemoveAlias(ctx, a.fn, a.alias)
	return err
}

func (a pause) do(ctx context.Context, node *client.Client) error {
	fn, trigger, _ := strings.Cut(a.path, "/")
	if a.paused {
		return node.PauseTrigger(ctx, fn, trigger)
	}
	return node.ResumeTrigger(ctx, fn, trigger)
}
