package declare

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Fetch asks a node what its installation is.
func Fetch(ctx context.Context, node *client.Client) (*State, error) {
	s := &State{Config: map[string]string{}}
	topics, err := node.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if !t.System {
			s.Topics = append(s.Topics, topicOf(t))
		}
	}
	values, err := node.Config(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		s.Config[v.Name] = v.Value
	}
	secrets, err := node.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range secrets.Secrets {
		s.Secrets = append(s.Secrets, one.Name)
	}
	if s.Hooks, err = fetchHooks(ctx, node); err != nil {
		return nil, err
	}
	functions, err := node.Functions(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range functions {
		whole, err := node.Function(ctx, f.Name)
		if err != nil {
			return nil, err
		}
		if err := s.add(&whole); err != nil {
			return nil, err
		}
	}
	s.sort()
	return s, nil
}

func topicOf(t wire.Topic) function.DeclaredTopic {
	return function.DeclaredTopic{
		Name: t.Name, Partitions: int(t.Partitions), Retention: t.Retention, MaxBytes: t.MaxBytes, Compact: t.Compact,
		Writers: t.Rules.Writers, Dedupe: t.Rules.Dedupe, MaxEvent: t.Rules.MaxEvent, EventsPerSecond: t.Rules.Events, BytesPerSecond: t.Rules.Bytes, Seal: t.Rules.Seal,
	}
}

// add adds a function as each of its aliases has it. During a roll-out that is the primary version.
func (s *State) add(f *wire.Function) error {
	for _, a := range f.Aliases {
		version := versionOf(f, a.Primary)
		if version == nil {
			return fmt.Errorf("alias %s of function %s points at version %d, which is not there", a.Name, f.Name, a.Primary)
		}
		s.Functions = append(s.Functions, Function{Alias: a.Name, Spec: version.Spec, Code: version.Code, Built: version.Built})
	}
	for _, t := range f.Triggers {
		if t.Paused {
			s.Paused = append(s.Paused, f.Name+"/"+t.Name)
		}
	}
	return nil
}

func versionOf(f *wire.Function, number int) *function.Version {
	for i := range f.Versions {
		if f.Versions[i].Number == number {
			return &f.Versions[i]
		}
	}
	return nil
}
