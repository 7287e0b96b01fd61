package api

import (
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/wire"
)

// Follower is what the API needs of who gives functions new versions when an image is pushed.
type Follower interface {
	// Trouble says why the newest push made no version for an alias of a function; nil = it did.
	Trouble(fn, alias string) error
}

// follows lists the aliases whose versions follow the tag of an image.
func (a *API) follows(f *catalog.Function) []wire.Follow {
	var all []wire.Follow
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		for _, v := range f.Versions {
			if v.Number != f.Aliases[name].Primary || !v.Spec.Follow {
				continue
			}
			one := wire.Follow{Alias: name, Image: v.Spec.ImageRef()}
			if a.follower != nil {
				if err := a.follower.Trouble(f.Name, name); err != nil {
					one.Error = err.Error()
				}
			}
			all = append(all, one)
		}
	}
	return all
}
