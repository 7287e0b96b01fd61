package fault

import (
	"cmp"
	"slices"
	"strings"
)

// nearestShown is how many names Nearest gives at most: more is a list to read, not a hint.
const nearestShown = 3

// Nearest returns those of known that somebody who wrote name may have meant, the nearest first, at most three: names at a
// small edit distance for their length, and names that begin with name or name with them. Case does not count.
func Nearest(name string, known []string) []string { return near(name, known, true) }

// Mistyped is Nearest without the names that begin with name or name with them: those are often others that somebody has meant as they are.
func Mistyped(name string, known []string) []string { return near(name, known, false) }

func near(name string, known []string, beginnings bool) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	seen := map[string]bool{}
	want := strings.ToLower(name)
	for _, k := range known {
		if k == "" || seen[k] {
			continue
		}
		seen[k] = true
		have := strings.ToLower(k)
		bound := max(1, min(len(want), len(have))/3)
		d := distance(want, have)
		begins := beginnings && len(want) >= 2 && len(have) >= 2 && (strings.HasPrefix(have, want) || strings.HasPrefix(want, have))
		if d <= bound || begins {
			found = append(found, candidate{k, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var out []string
	for _, n := range found[:min(len(found), nearestShown)] {
		out = append(out, n.name)
	}
	return out
}

// distance is the number of bytes to insert, delete, replace or swap with their neighbour to make b of a
// (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Missing is the NotFound error for a name of a kind of thing ("function", "topic"), with the nearest known names as its hint.
func Missing(kind, name string, known []string) *Error {
	e := New(NotFound, "there is no %s %q", kind, name)
	switch near := Nearest(name, known); {
	case len(near) > 0:
		return e.WithHint("did you mean %s?", strings.Join(near, " or "))
	case len(known) == 0:
		return e.WithHint("there is no %s yet", kind)
	}
	return e
}
