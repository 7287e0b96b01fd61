package runner

import (
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Ability says what this runner fences on this machine, for `dalamb functions`, doctor and the log at start.
type Ability struct {
	Isolated bool     // namespaces, no capabilities, seccomp
	Users    bool     // each sandbox is a user of its own on the host
	Kernel   bool     // each sandbox has a kernel of its own, and no process on the host for each of the function's
	Images   bool     // Spec.Root, WorkDir and User are honoured; else a Spec that has them is refused
	Egress   bool     // the network "egress" is given; else a Spec with it is refused, where any isolation is
	Limits   []string // of AllLimits: those that are enforced
	Notes    []string // best-effort parts, each a sentence
	Freezing Aid      // functions are held still while they are idle
	Disk     Aid      // functions have less weight at a disk than others, the log among them
}

// AllLimits are the names of the limits of a Spec, as they are below resources in a manifest.
func AllLimits() []string { return []string{"memory", "cpu", "pids", "files", "tmp"} }

// Lacks says what of a whole fence this machine does not give, in words for people.
func (a *Ability) Lacks() []string {
	if !a.Isolated {
		return []string{"any isolation"}
	}
	var all []string
	if !a.Users {
		all = append(all, "a user of its own for each function")
	}
	for _, limit := range AllLimits() {
		if !slices.Contains(a.Limits, limit) {
			all = append(all, "a limit on "+limit)
		}
	}
	return all
}

// Permits refuses a Spec that demands more than this machine gives.
func (a *Ability) Permits(s *Spec) error {
	lacks := a.Lacks()
	if !s.Strict || len(lacks) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "function %s demands isolation: strict, and this node does not give %s", s.Function, strings.Join(lacks, ", ")).
		WithHint("dalamb doctor says how to get it; without isolation: strict the function runs behind what fence there is")
}
