package declare

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// environmentsDir has a directory for each environment beside production, each of the form of an installation's. In it names are plain: it can be
// applied to another environment as well.
const environmentsDir = "environments"

// Environments lists the environments that something in s is of, production ("") not among them.
func (s *State) Environments() []string {
	found := map[string]bool{}
	for i := range s.Functions {
		found[function.Environment(s.Functions[i].Spec.Name)] = true
	}
	for _, name := range s.Secrets {
		found[function.Environment(name)] = true
	}
	for name := range s.Config {
		found[function.Environment(name)] = true
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// Only is what of s is one of the environments', full names kept. Of the topics that are left out it remembers that they are there.
func (s *State) Only(envs ...string) *State {
	all := s.Environments()
	mine := func(name string) bool { return slices.Contains(envs, function.Environment(name)) }
	out := &State{Config: map[string]string{}, elsewhere: slices.Clone(s.elsewhere)}
	for _, t := range s.Topics {
		if slices.Contains(envs, environmentOf(t.Name, append(all, envs...))) {
			out.Topics = append(out.Topics, t)
		} else {
			out.elsewhere = append(out.elsewhere, t.Name)
		}
	}
	for name, value := range s.Config {
		if mine(name) {
			out.Config[name] = value
		}
	}
	for _, name := range s.Secrets {
		if mine(name) {
			out.Secrets = append(out.Secrets, name)
		}
	}
	for _, p := range s.Paused {
		if mine(p) {
			out.Paused = append(out.Paused, p)
		}
	}
	if slices.Contains(envs, "") {
		out.Hooks = s.Hooks // they are of the installation as a whole
	}
	for i := range s.Functions {
		if mine(s.Functions[i].Spec.Name) {
			out.Functions = append(out.Functions, s.Functions[i])
		}
	}
	return out
}

// environmentOf is whose a topic is: a topic of production may have dots in its name.
func environmentOf(topic string, envs []string) string {
	if env := function.Environment(topic); slices.Contains(envs, env) {
		return env
	}
	return ""
}

// Plain is what s has of one environment, by plain names.
func (s *State) Plain(env string) *State {
	out := s.Only(env)
	if env == "" {
		return out
	}
	config := map[string]string{}
	for name, value := range out.Config {
		config[function.Plain(env, name)] = value
	}
	out.Config = config
	for i := range out.Topics {
		out.Topics[i].Name = function.Plain(env, out.Topics[i].Name)
	}
	for i := range out.Secrets {
		out.Secrets[i] = function.Plain(env, out.Secrets[i])
	}
	for i := range out.Paused {
		out.Paused[i] = function.Plain(env, out.Paused[i])
	}
	for i := range out.Functions {
		_, plain := out.Functions[i].Spec.Unplace()
		out.Functions[i].Spec = *plain
	}
	out.sort()
	return out
}

// Join adds what plain says, in an environment.
func (s *State) Join(env string, plain *State) {
	if env == "" {
		s.Hooks = append(s.Hooks, plain.Hooks...) // they are of the installation as a whole
	}
	for _, t := range plain.Topics {
		t.Name = function.Full(env, t.Name)
		s.Topics = append(s.Topics, t)
	}
	for name, value := range plain.Config {
		if s.Config == nil {
			s.Config = map[string]string{}
		}
		s.Config[function.Full(env, name)] = value
	}
	for _, name := range plain.Secrets {
		s.Secrets = append(s.Secrets, function.Full(env, name))
	}
	for _, p := range plain.Paused {
		s.Paused = append(s.Paused, function.Full(env, p))
	}
	for _, f := range plain.Functions {
		f.Spec.Name = function.Full(env, f.Spec.Name)
		s.Functions = append(s.Functions, f)
	}
	s.sort()
}

// ReadAll reads a directory with those of its environments, and says which these are. An error is as Read's, of all of them.
func ReadAll(dir string) (s *State, envs []string, err error) {
	var problems []error
	if s, err = Read(dir); err != nil {
		problems, s = append(problems, err), &State{}
	}
	entries, err := os.ReadDir(filepath.Join(dir, environmentsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list environments: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		at := filepath.Join(dir, environmentsDir, e.Name())
		if err := function.CheckEnvironment(e.Name()); err != nil {
			return nil, nil, fault.New(fault.Invalid, "%s: %w", at, err).WithHint("%s", fault.HintOf(err))
		}
		one, err := Read(at)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(one.Hooks) > 0 {
			return nil, nil, fault.New(fault.Invalid, "%s declares hooks, which are of the installation, not of an environment", filepath.Join(at, InstallationFile)).
				WithHint("write them into %s", filepath.Join(dir, InstallationFile))
		}
		s.Join(e.Name(), one)
		envs = append(envs, e.Name())
	}
	if len(problems) > 0 {
		return nil, nil, fault.New(fault.Invalid, "%w", errors.Join(problems...)).WithHint("%s", fault.HintOf(problems[0]))
	}
	return s, envs, nil
}

// placed gives the names in all functions their meaning, by the topics that are there when those are deployed.
func (s *State) placed(have *State) *State {
	topics := map[string]bool{}
	for _, t := range slices.Concat(have.Topics, s.Topics) {
		topics[t.Name] = true
	}
	out := *s
	out.Functions = slices.Clone(s.Functions)
	for i := range out.Functions {
		env, plain := out.Functions[i].Spec.Unplace()
		out.Functions[i].Spec = *plain.Place(env, func(topic string) bool { return topics[topic] })
	}
	return &out
}
