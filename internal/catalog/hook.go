package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
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
	if err := roomFor(at.view.settings.Hooks, maxHooks, "hook", c.Hook.Name, "remove those that nobody uses: dalamb hook ls"); err != nil {
		return nil, err
	}
	if err := at.view.hasSecrets("hook", c.Hook.Name, c.Hook.Secrets()...); err != nil {
		return nil, err
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
	if typ == event.TypeHookRemoved {
		s.Hooks = without(s.Hooks, p.Hook.Name)
		return true
	}
	s.Hooks = with(s.Hooks, p.Hook.Name, Hook{Hook: *p.Hook, Changed: at})
	return true
}

// Hooks lists the hooks by name.
func (v *View) Hooks() []Hook { return byName(v.settings.Hooks) }

// Hook returns a hook, or NotFound with the nearest names.
func (v *View) Hook(name string) (Hook, error) { return named(v.settings.Hooks, "hook", name) }

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
