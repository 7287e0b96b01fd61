package catalog

import (
	"cmp"
	"slices"
	"strings"
)

// Entity is what control events are about: a function, Kind "", or something else with a name, such as a secret.
type Entity struct{ Kind, Name string }

// Since lists what was changed by an event at or after an offset, in the order of the last change of each; what is gone is among them.
func (v *View) Since(offset int64) []Entity {
	var names []string
	for name, last := range v.last {
		if last >= offset {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(v.last[a], v.last[b]) })
	all := make([]Entity, len(names))
	for i, name := range names {
		kind, rest, ok := strings.Cut(name, "/")
		if !ok {
			kind, rest = "", name
		}
		all[i] = Entity{Kind: kind, Name: rest}
	}
	return all
}
