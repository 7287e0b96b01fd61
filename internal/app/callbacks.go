package app

import (
	"fmt"
	"net/netip"

	"github.com/dalamb/dalamb/internal/callback"
)

// callbacks makes what tells clients what came of their requests. The gateway is there.
func (n *Node) callbacks() (*callback.Keeper, error) {
	var allow []netip.Prefix
	for _, text := range n.config.Callbacks.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("read callbacks.allow: %w", err)
		}
		allow = append(allow, p)
	}
	return callback.New(callback.Options{Log: n.log, State: n.gateway.StateOf, Secret: n.opened.open, Allow: allow, Logger: n.logger, Metrics: n.metrics})
}
