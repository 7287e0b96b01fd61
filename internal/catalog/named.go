package catalog

import (
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
)

// What the settings keep by name is in maps that never change, because views have them too: the fold puts another one in the place of the one that was.

// with is a map with one more thing, or another one of its name.
func with[T any](all map[string]T, name string, one T) map[string]T {
	more := maps.Clone(all)
	if more == nil {
		more = map[string]T{}
	}
	more[name] = one
	return more
}

// without is a map with one thing less.
func without[T any](all map[string]T, name string) map[string]T {
	less := maps.Clone(all)
	delete(less, name)
	return less
}

// byName lists things in the order of their names.
func byName[T any](all map[string]T) []T {
	var list []T
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// named is the thing of a name, or NotFound with the nearest names. word is what it is called.
func named[T any](all map[string]T, word, name string) (T, error) {
	one, ok := all[name]
	if !ok {
		return one, fault.Missing(word, name, slices.Sorted(maps.Keys(all)))
	}
	return one, nil
}

// roomFor refuses one more than most things of a word; hint says which may go. Another one of a name that is there takes no room.
func roomFor[T any](all map[string]T, most int, word, name, hint string) error {
	if _, there := all[name]; there || len(all) < most {
		return nil
	}
	return fault.New(fault.Exhausted, "there are %d %ss already: %q is one too many", len(all), word, name).WithHint("%s", hint)
}

// hasSecrets refuses a thing that takes a secret which is not there.
func (v *View) hasSecrets(word, name string, secrets ...string) error {
	for _, secret := range secrets {
		if _, err := v.Secret(secret); err != nil {
			return fault.New(fault.NotFound, "%s %q takes a secret that is not there: %w", word, name, err).WithHint("set it first: dalamb secret set %s", secret)
		}
	}
	return nil
}
