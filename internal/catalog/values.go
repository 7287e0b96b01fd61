package catalog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// maxValues bounds the secrets, and the configuration values: every node holds them all.
const maxValues = 1000

// Value is a secret or a configuration value, as it stands. It never changes; the fold replaces it.
type Value struct {
	Name     string         `json:"name"`
	Text     string         `json:"text,omitempty"`   // of a configuration value
	Sealed   *secret.Sealed `json:"sealed,omitempty"` // of a secret
	Revision int            `json:"revision"`         // counts from 1, since it was made
	Offset   int64          `json:"offset"`           // of the control event that set it
	Changed  time.Time      `json:"changed"`
}

// SetSecret gives a secret a value; SetConfig does so for a configuration value. RemoveSecret and RemoveConfig are refused while a function takes it.
type (
	SetSecret struct {
		Name   string
		Sealed secret.Sealed
	}
	SetConfig    struct{ Name, Value string }
	RemoveSecret struct{ Name string }
	RemoveConfig struct{ Name string }
)

// valuePayload is what those four events say beside what all control events say.
type valuePayload struct {
	Name   string         `json:"name"`
	Text   string         `json:"text,omitempty"`
	Sealed *secret.Sealed `json:"sealed,omitempty"`
}

// valueKind is what differs between the two.
type valueKind struct {
	word, command    string
	given            string // what follows the name on the command line
	changed, removed string // event types
	of               func(*settings) *map[string]Value
	takes            func(*function.Spec) []string
}

func secretKind() valueKind {
	return valueKind{"secret", "secret", "", event.TypeSecretChanged, event.TypeSecretRemoved,
		func(s *settings) *map[string]Value { return &s.Secrets }, (*function.Spec).SecretNames}
}

func configKind() valueKind {
	return valueKind{"configuration value", "config", "=VALUE", event.TypeConfigChanged, event.TypeConfigRemoved,
		func(s *settings) *map[string]Value { return &s.Config }, (*function.Spec).ConfigNames}
}

func (k valueKind) entity(name string) string { return k.command + "/" + name }

func (k valueKind) set(at scene, p valuePayload) (*event.Event, error) {
	there := *k.of(&at.view.settings)
	if _, ok := there[p.Name]; !ok && len(there) >= maxValues {
		return nil, fault.New(fault.Exhausted, "there are %d of them already: %s %q is one too many", len(there), k.word, p.Name).
			WithHint("remove what no function takes: dalamb %s ls", k.command)
	}
	return payload{Function: k.entity(p.Name), Expects: at.view.expects(k.entity(p.Name)), Value: &p}.event(k.changed)
}

func (k valueKind) remove(at scene, name string) (*event.Event, error) {
	if _, err := at.view.value(k, name); err != nil {
		return nil, err
	}
	if takers := at.view.takers(k, name); len(takers) > 0 {
		return nil, fault.New(fault.Conflict, "%s %q is taken by %s", k.word, name, strings.Join(takers, ", ")).
			WithHint("deploy the functions without it first, or remove them")
	}
	if alerts := at.view.secretAlerts(name); k.command == "secret" && len(alerts) > 0 {
		return nil, fault.New(fault.Conflict, "secret %q signs what alert %s tells", name, strings.Join(alerts, ", ")).WithHint("give the alert another, or remove it: dalamb alert rm")
	}
	if hooks := at.view.SecretHooks(name); k.command == "secret" && len(hooks) > 0 {
		return nil, fault.New(fault.Conflict, "secret %q is taken by hook %s", name, strings.Join(hooks, ", ")).
			WithHint("set the hooks without it first, or remove them: dalamb hook rm %s", hooks[0])
	}
	return payload{Function: k.entity(name), Expects: at.view.expects(k.entity(name)), Value: &valuePayload{Name: name}}.event(k.removed)
}

func (c SetSecret) event(_ context.Context, at scene) (*event.Event, error) {
	return secretKind().set(at, valuePayload{Name: c.Name, Sealed: &c.Sealed})
}

func (c SetConfig) event(_ context.Context, at scene) (*event.Event, error) {
	return configKind().set(at, valuePayload{Name: c.Name, Text: c.Value})
}

func (c RemoveSecret) event(_ context.Context, at scene) (*event.Event, error) {
	return secretKind().remove(at, c.Name)
}

func (c RemoveConfig) event(_ context.Context, at scene) (*event.Event, error) {
	return configKind().remove(at, c.Name)
}

// give folds an event about a secret or a configuration value; ok is false for another one.
func (s *settings) give(typ string, p payload, b birth) (ok bool) {
	if p.Value == nil {
		return false
	}
	for _, k := range []valueKind{secretKind(), configKind()} {
		if typ != k.changed && typ != k.removed || typ == event.TypeSecretChanged && p.Value.Sealed == nil {
			continue
		}
		values := k.of(s)
		old := (*values)[p.Value.Name]
		if typ == k.removed {
			*values = without(*values, p.Value.Name)
			return true
		}
		*values = with(*values, p.Value.Name, Value{
			Name: p.Value.Name, Text: p.Value.Text, Sealed: p.Value.Sealed, Revision: old.Revision + 1, Offset: b.offset, Changed: b.at,
		})
		return true
	}
	return false
}

func (v *View) value(k valueKind, name string) (Value, error) {
	return named(*k.of(&v.settings), k.word, name)
}

// takers are the functions whose versions in use take a value, sorted.
func (v *View) takers(k valueKind, name string) []string {
	var names []string
	for _, version := range v.Wanted() {
		if slices.Contains(k.takes(&version.Spec), name) {
			names = append(names, version.Function())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Secrets lists the secrets by name, sealed.
func (v *View) Secrets() []Value { return byName(v.settings.Secrets) }

// Secret returns a secret, sealed, or NotFound with the nearest names.
func (v *View) Secret(name string) (Value, error) { return v.value(secretKind(), name) }

// SecretTakers are the functions whose versions in use take a secret, sorted.
func (v *View) SecretTakers(name string) []string { return v.takers(secretKind(), name) }

// Config lists the configuration values by name.
func (v *View) Config() []Value { return byName(v.settings.Config) }

// ConfigValue returns a configuration value, or NotFound with the nearest names.
func (v *View) ConfigValue(name string) (Value, error) { return v.value(configKind(), name) }

// ConfigTakers are the functions whose versions in use take a configuration value, sorted.
func (v *View) ConfigTakers(name string) []string { return v.takers(configKind(), name) }

// Provides refuses a function that takes a secret or a configuration value which is not there.
func (v *View) Provides(s *function.Spec) error {
	for _, k := range []valueKind{secretKind(), configKind()} {
		for _, name := range k.takes(s) {
			_, err := v.value(k, name)
			if err == nil {
				continue
			}
			e := fault.New(fault.NotFound, "function %q takes a %s that is not there: %w", s.Name, k.word, err)
			return e.WithHint("set it first: dalamb %s set %s%s", k.command, name, k.given)
		}
	}
	return nil
}

// ValuesOffset is the control offset at which what a function's instances take changed last; 0 = they take nothing. What only its routes need
// is read at each request.
func (v *View) ValuesOffset(s *function.Spec) (offset int64) {
	changed := func(k valueKind, name string) {
		if one, err := v.value(k, name); err == nil {
			offset = max(offset, one.Offset+1)
		}
	}
	for _, t := range s.Secrets {
		changed(secretKind(), t.Name)
	}
	for _, t := range s.Config {
		changed(configKind(), t.Name)
	}
	return offset
}
