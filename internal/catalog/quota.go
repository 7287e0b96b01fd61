package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// SetQuota puts a quota in the place of the one that an environment has; "" = production.
type SetQuota struct {
	Environment string
	Quota       function.Quota
}

// quotaPayload is whose quota it is, and what it is.
type quotaPayload struct {
	Environment string `json:"environment"` // "" = production
	function.Quota
}

func quotaEntity(env string) string { return "quota/" + function.EnvironmentName(env) }

func (c SetQuota) event(_ context.Context, s scene) (*event.Event, error) {
	if err := c.Quota.Check(); err != nil {
		return nil, err
	}
	if _, there := s.view.settings.Quotas[c.Environment]; !there && len(s.view.settings.Quotas) > function.MaxEnvironments {
		return nil, fault.New(fault.Exhausted, "%d environments have quotas already: that of %q is one too many", len(s.view.settings.Quotas), c.Environment).
			WithHint("take one away that nobody needs: dalamb env quota NAME --none")
	}
	entity := quotaEntity(c.Environment)
	return payload{Function: entity, Expects: s.view.expects(entity), Quota: &quotaPayload{c.Environment, c.Quota}}.event(event.TypeQuotaChanged)
}

// allow folds an event about a quota; ok is false for another one.
func (s *settings) allow(typ string, p payload) (ok bool) {
	if typ != event.TypeQuotaChanged || p.Quota == nil {
		return false
	}
	s.Quotas = maps.Clone(s.Quotas)
	if s.Quotas == nil {
		s.Quotas = map[string]function.Quota{}
	}
	s.Quotas[p.Quota.Environment] = p.Quota.Quota
	if p.Quota.None() {
		delete(s.Quotas, p.Quota.Environment)
	}
	return true
}

// Quota is the most that an environment may have; "" = production.
func (v *View) Quota(env string) function.Quota { return v.settings.Quotas[env] }

// FunctionsOf are the names of the functions of an environment, sorted; "" = production.
func (v *View) FunctionsOf(env string) []string {
	var names []string
	for _, name := range v.names {
		if function.Environment(name) == env {
			names = append(names, name)
		}
	}
	return names
}

// allows refuses changes that would give an environment more functions than its quota has, or one that its quota never lets run. What is there already stays,
// whatever its quota has become since. Two nodes that deploy at the same moment may each have the last place: a quota is no part of the fold, since older
// binaries, which do not know it, would fold otherwise.
func (v *View) allows(changes []Change) error {
	begun := map[string][]string{} // environment -> functions that are new
	for i, c := range changes {
		d, is := c.(Deploy)
		if !is {
			continue
		}
		name := d.Version.Function()
		env := function.Environment(name)
		quota := v.Quota(env)
		if quota.None() {
			continue
		}
		if err := runnable(&d.Version.Spec, quota); err != nil {
			return &Refused{i, err}
		}
		if v.functions[name] != nil || quota.Functions == 0 {
			continue
		}
		there := v.FunctionsOf(env)
		if begun[env] = append(begun[env], name); len(there)+len(begun[env]) > quota.Functions {
			return &Refused{i, fault.New(fault.Exhausted, "%s may have %d functions, and %q is one too many: it has %d (%s)", whose(env), quota.Functions, name, len(there), some(there)).
				WithHint("remove one that nobody needs (dalamb remove), or have the quota raised: dalamb env quota %s --functions N", function.EnvironmentName(env))}
		}
	}
	return nil
}

// runnable refuses a function of which a quota lets no instance start, or fewer than it wants always.
func runnable(spec *function.Spec, q function.Quota) error {
	env := function.Environment(spec.Name)
	hint := fmt.Sprintf("let the function ask for less, or have the quota raised: dalamb env quota %s", function.EnvironmentName(env))
	switch memory := spec.Resources.Memory; {
	case q.Memory > 0 && memory > q.Memory:
		return fault.New(fault.Exhausted, "an instance of %q has %s of memory (resources.memory), and %s may have %s for all", spec.Name, memory, whose(env), q.Memory).WithHint("%s", hint)
	case q.Instances > 0 && max(spec.Scale.Min, spec.Scale.Reserved) > q.Instances:
		return fault.New(fault.Exhausted, "%q wants %d instances always (scale.min, scale.reserved), and %s may have %d for all", spec.Name, max(spec.Scale.Min, spec.Scale.Reserved), whose(env), q.Instances).
			WithHint("%s", hint)
	}
	return nil
}

// whose names an environment in a sentence.
func whose(env string) string {
	if env == "" {
		return function.Production
	}
	return "environment " + env
}

// some names the first of a list.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(slices.Clone(names[:most]), ", "), len(names)-most)
}
