package egress

import (
	"net/netip"
	"sync"
)

const tooMany verdict = "too many connections are open, of this function or of all"

// maxTold bounds what one sandbox can put into the node's log.
const maxTold = 16

// refusals remembers what was told.
type refusals struct {
	mu   sync.Mutex
	told map[string]bool
}

// refuse tells the node's log what a function may not reach: once for each destination, and only of the first ones.
func (l *Link) refuse(network string, to netip.AddrPort, why verdict) {
	if l.refusals.first(network + to.String()) {
		l.log.Info("destination refused to a function", "network", network, "to", to.String(), "reason", string(why))
	}
}

func (r *refusals) first(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told[what] || len(r.told) >= maxTold {
		return false
	}
	if r.told == nil {
		r.told = map[string]bool{}
	}
	r.told[what] = true
	return true
}
