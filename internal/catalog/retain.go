package catalog

import (
	"slices"

	"github.com/dalamb/dalamb/internal/function"
)

// Which versions a deploy lets go is decided by who deploys, and stands in its event: the fold alone does not know who else needs a
// version, and every node has to come to the same.

// inUse are the versions that an alias points at, or that a replay runs.
func (f *Function) inUse() map[int]bool {
	numbers := map[int]bool{}
	for _, a := range f.Aliases {
		for _, n := range a.Versions() {
			numbers[n] = true
		}
	}
	for _, r := range f.Replays {
		if r.Ended == nil {
			numbers[r.Version] = true
		}
	}
	return numbers
}

// outlived lists the versions that go with a deploy: those that are older than as many as the new version says are kept, and that
// nothing needs: no alias runs one or would go back to it, no roll-out is about it, no replay runs it, and whom the catalog does not know does not ask for it.
func (v *View) outlived(p payload, needed func(version int) bool) []int {
	f, ok := v.functions[p.Function]
	if !ok {
		return nil
	}
	f = f.clone()
	if p.Alias != nil {
		f.trace(*p.Alias)
		f.Aliases[p.Alias.Name] = *p.Alias
	}
	used := f.inUse()
	for _, trail := range f.Trails {
		used[trail[len(trail)-1]] = true
	}
	old := f.Versions[:max(0, len(f.Versions)-p.Version.Spec.Kept()+1)] // the new one is kept too
	var numbers []int
	for _, version := range old {
		if n := version.Number; !used[n] && !f.rolls(n) && (needed == nil || !needed(n)) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// drop takes versions away from f, which is the fold's own fresh copy.
func (f *Function) drop(numbers []int) {
	if len(numbers) == 0 {
		return
	}
	gone := func(n int) bool { return slices.Contains(numbers, n) }
	f.Versions = slices.DeleteFunc(f.Versions, func(v *function.Version) bool { return gone(v.Number) })
	for alias, trail := range f.Trails {
		f.setTrail(alias, slices.DeleteFunc(slices.Clone(trail), gone))
	}
}

// Gone says that a version was there and was let go. One that is newer than all that are known here is still to come.
func (f *Function) Gone(n int) bool {
	return f.version(n) == nil && len(f.Versions) > 0 && n <= f.newest()
}
