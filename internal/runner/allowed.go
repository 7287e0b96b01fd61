package runner

import (
	"net/netip"
	"slices"
)

// Allowed is where a sandbox with the network "egress" may connect to.
type Allowed struct {
	Prefix netip.Prefix // IPv4; the zero Prefix is the internet: every address that is reachable from everywhere
	Ports  []uint16     // of TCP and UDP; none = all
}

// Names says whether the port is one of d's.
func (d *Allowed) Names(port uint16) bool {
	return len(d.Ports) == 0 || slices.Contains(d.Ports, port)
}
