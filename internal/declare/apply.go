package declare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// Try asks the node about those functions to deploy of which it can say already whether it would refuse them: all that they name is there.
func (p *Plan) Try(ctx context.Context, have *State, node *client.Client) error {
	var problems []error
	for _, s := range p.Steps {
		d, ok := s.act.(deploy)
		if !ok || !d.canBeTried(have) {
			continue
		}
		req := wire.DeployRequest{Spec: d.f.Spec, Code: d.f.Code, Alias: d.f.Alias, DryRun: true}
		if _, err := node.Deploy(ctx, req); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.What, err))
		}
	}
	return errors.Join(problems...)
}

// canBeTried says whether a function names only what is there. What this plan makes first, the node would miss.
func (d deploy) canBeTried(have *State) bool {
	for _, name := range d.f.Spec.ConfigNames() {
		if _, there := have.Config[name]; !there {
			return false
		}
	}
	for _, name := range d.f.Spec.Topics() {
		own := function.Full(function.Environment(d.f.Spec.Name), function.TopicEvents) // is made by the deploy
		if name != own && !slices.Contains(have.elsewhere, name) && !slices.ContainsFunc(have.Topics, func(t Topic) bool { return t.Name == name }) {
			return false
		}
	}
	return true
}

// Apply does all steps, and tells of each before it is done. It stops at the first that fails; applied again, the rest is done.
func (p *Plan) Apply(ctx context.Context, node *client.Client, tell func(Step)) error {
	for _, s := range p.Steps {
		tell(s)
		if err := s.act.do(ctx, node); err != nil {
			return fmt.Errorf("%s %s: %w", s.Verb, s.What, err)
		}
	}
	return nil
}

// action does a step.
type action interface {
	do(ctx context.Context, node *client.Client) error
}

type (
	createTopic struct{ t Topic }
	alterTopic  struct{ t Topic }
	setConfig   struct{ name, value string }
	deploy      struct{ f *Function }
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
		Name: t.Name, Partitions: t.Partitions, Retention: t.Retention, MaxBytes: t.MaxBytes, Compact: t.Compact, Rules: t.rules().Change(),
	})
	return err
}

func (a alterTopic) do(ctx context.Context, node *client.Client) error {
	t, change := a.t, wire.TopicAlter{Rules: a.t.rules().Change()}
	if t.Partitions > 0 {
		change.Partitions = &t.Partitions
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

func (a deploy) do(ctx context.Context, node *client.Client) error {
	f := a.f
	if f.Code != "" {
		if err := f.upload(ctx, node); err != nil {
			return fmt.Errorf("upload the code: %w", err)
		}
	}
	_, err := node.Deploy(ctx, wire.DeployRequest{Spec: f.Spec, Code: f.Code, Alias: f.Alias})
	return err
}

// upload sends the code where the node does not hold it.
func (f *Function) upload(ctx context.Context, node *client.Client) error {
	there, err := node.HasCode(ctx, f.Code)
	if err != nil || there {
		return err
	}
	archive, err := os.CreateTemp("", "dalamb-code-*")
	if err != nil {
		return err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	digest, err := image.Pack(f.Dir, archive)
	if err == nil && digest != f.Code {
		err = fmt.Errorf("%s has changed since it was looked at", f.Dir)
	}
	if err == nil {
		_, err = archive.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return node.PutCode(ctx, f.Code, archive)
}
