// Package tree finds the processes that descend from one, and what they use. It neither starts nor kills any.
package tree

import "time"

// Process is one process at the moment of a snapshot.
type Process struct {
	PID, Parent, Group, Session int

	// Start tells this process from a later one with the same PID, also after the machine started again.
	Start  string
	Memory int64         // resident bytes, give or take some pages: a small process may show none
	Mapped bool          // it has an address space: it is neither the kernel's own thread nor dead
	CPU    time.Duration // user and system; 0 = not known
	Zombie bool          // dead, and only waiting for its parent to notice
}

// Ancestors returns the PIDs above one: who would be the parent of its orphans is among them.
func Ancestors(all []Process, pid int) map[int]bool {
	parents := make(map[int]int, len(all))
	for _, p := range all {
		parents[p.PID] = p.Parent
	}
	above := make(map[int]bool)
	for p := parents[pid]; p != 0 && !above[p]; p = parents[p] {
		above[p] = true
	}
	return above
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
