package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxHooks bounds the hooks: every node holds them all.
const maxHooks = 1000

// Hook is a hook as it stands. It never changes; the fold replaces it.
type Hook struct {
	function.Hook
	Changed time.Time `json:"changed"`
}

// SetHook puts a hook in the place of the one of its name, or makes it; RemoveHook takes it away.
type (
	SetHook    struct{ Hook function.Hook }
	RemoveHook struct{ Name string }
)

func hookEntity(name string) string { return "hook/" + name }

func (c SetHook) event(_ context.Context, at scene) (*event.Event, error) {
	hooks := at.view.settings.Hooks
	if _, there := hooks[c.Hook.Name]; !there && len(hooks) >= maxHooks {
		return nil, fault.New(fault.Exhausted, "there are %d hooks already: %q is one too many", len(hooks), c.Hook.Name).WithHint("remove those that nobody uses: dalamb hook ls")
	}
	for _, name := range c.Hook.Secrets() {
		if _, err := at.view.Secret(name); err != nil {
			return nil, fault.New(fault.NotFound, "hook %q takes a secret that is not there: %w", c.Hook.Name, err).WithHint("set it first: dalamb secret set %s", name)
		}
	}
	entity := hookEntity(c.Hook.Name)
	return payload{Function: entity, Expects: at.view.expects(entity), Hook: &c.Hook}.event(event.TypeHookChanged)
}

func (c RemoveHook) event(_ context.Context, at scene) (*event.Event, error) {
	old, err := at.view.Hook(c.Name)
	if err != nil {
		return nil, err
	}
	entity := hookEntity(c.Name)
	return payload{Function: entity, Expects: at.view.expects(entity), Hook: &old.Hook}.event(event.TypeHookRemoved)
}

// listen folds an event about a hook; ok is false for another one.
func (s *settings) listen(typ string, p payload, at time.Time) (ok bool) {
	if p.Hook == nil || typ != event.TypeHookChanged && typ != event.TypeHookRemoved {
		return false
	}
	s.Hooks = maps.Clone(s.Hooks)
	if s.Hooks == nil {
		s.Hooks = map[string]Hook{}
	}
	if typ == event.TypeHookRemoved {
		delete(s.Hooks, p.Hook.Name)
		return true
	}
	s.Hooks[p.Hook.Name] = Hook{Hook: *p.Hook, Changed: at}
	return true
}

// Hooks lists the hooks by name.
func (v *View) Hooks() []Hook {
	return slices.SortedFunc(maps.Values(v.settings.Hooks), func(a, b Hook) int { return strings.Compare(a.Name, b.Name) })
}

// Hook returns a hook, or NotFound with the nearest names.
func (v *View) Hook(name string) (Hook, error) {
	if h, ok := v.settings.Hooks[name]; ok {
		return h, nil
	}
	return Hook{}, fault.Missing("hook", name, slices.Sorted(maps.Keys(v.settings.Hooks)))
}

// SecretHooks are the hooks that take a secret, sorted.
func (v *View) SecretHooks(name string) []string {
	var names []string
	for _, h := range v.Hooks() {
		if slices.Contains(h.Secrets(), name) {
			names = append(names, h.Name)
		}
	}
	return names
}
