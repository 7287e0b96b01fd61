//go:build !linux

package doctor

import "runtime"

// Machine is not looked at here: sandboxes are made of what Linux has.
type Machine struct{}

// This is the machine that this process is on.
func This(string) (*Machine, error) { return &Machine{}, nil }

// Look makes the findings.
func (*Machine) Look() []Finding {
	return []Finding{Lacking(Missing, "kernel", "use Linux, or run functions without isolation as for development: --runner process", "%s cannot fence functions", runtime.GOOS)}
}
