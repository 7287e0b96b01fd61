package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Environment is what an environment has, each by its full name, sorted.
type Environment struct {
	Name      string
	Functions []*Function
	Secrets   []string
	Config    []string
}

// Environments lists the environments beside production: those that have a function, a secret, a configuration value or a quota.
func (v *View) Environments() []*Environment {
	all := map[string]*Environment{}
	named := func(name string) *Environment {
		if all[name] == nil {
			all[name] = &Environment{Name: name}
		}
		return all[name]
	}
	of := func(full string) *Environment { return named(function.Environment(full)) }
	for _, f := range v.Functions() {
		e := of(f.Name)
		e.Functions = append(e.Functions, f)
	}
	for _, s := range v.Secrets() {
		e := of(s.Name)
		e.Secrets = append(e.Secrets, s.Name)
	}
	for _, c := range v.Config() {
		e := of(c.Name)
		e.Config = append(e.Config, c.Name)
	}
	for name := range v.settings.Quotas {
		named(name)
	}
	delete(all, "")
	var list []*Environment
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// EverDeployed are the names of the environments that have or had a function.
func (v *View) EverDeployed() map[string]bool {
	names := map[string]bool{}
	for entity := range v.last {
		if env := function.Environment(entity); env != "" && !strings.Contains(env, "/") { // with one it is a topic, a secret or the like
			names[env] = true
		}
	}
	return names
}

// Environment returns one environment, or NotFound with the nearest names.
func (v *View) Environment(name string) (*Environment, error) {
	var names []string
	for _, e := range v.Environments() {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return nil, fault.Missing("environment", name, names)
}

// Eavesdropper is a function outside of an environment whose trigger listens to a topic that would be the environment's own; "" = none does.
func (v *View) Eavesdropper(env string) (topic, fn string) {
	for _, f := range v.Functions() {
		for _, t := range f.Triggers {
			if function.Within(env, t.Topic) && function.Environment(f.Name) != env {
				return t.Topic, f.Name
			}
		}
	}
	return "", ""
}
