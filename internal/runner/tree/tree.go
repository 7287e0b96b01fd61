// Package tree finds the processes that descend from one, and what they use. It neither starts nor kills any.
package tree

import "time"

// Process is one process at the moment of a snapshot.
type Process struct {
	PID, Parent, Group, Session int

	// Start tells this process from a later one with the same PID, also after the machine started again.
	Start  string
	Memory int64         // resident bytes
	CPU    time.Duration // user and system; 0 = not known
	Zombie bool          // dead, and only waiting for its parent to notice
}

// Descendants returns those of all that are in roots by PID, or below one that is.
func Descendants(all []Process, roots map[int]bool) []Process {
	children := make(map[int][]int, len(all))
	var next []int
	for i, p := range all {
		children[p.Parent] = append(children[p.Parent], i)
		if roots[p.PID] {
			next = append(next, i)
		}
	}
	var found []Process
	seen := make(map[int]bool)
	for len(next) > 0 {
		i := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		found = append(found, all[i])
		next = append(next, children[all[i].PID]...)
	}
	return found
}
