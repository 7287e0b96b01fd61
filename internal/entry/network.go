package entry

import (
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// reachable gives what a manifest allows in the runner's form. What cannot be read, which no manifest has that was checked, allows
// nothing.
func reachable(all []function.Allowed) []runner.Allowed {
	var out []runner.Allowed
	for i := range all {
		p, err := all[i].Prefix()
		if err != nil {
			continue
		}
		d := runner.Allowed{Prefix: p}
		for _, port := range all[i].Ports {
			d.Ports = append(d.Ports, uint16(port))
		}
		out = append(out, d)
	}
	return out
}
