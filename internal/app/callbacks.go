package app

import (
	"net/netip"

	"github.com/dalamb/dalamb/internal/callback"
	"github.com/dalamb/dalamb/internal/config"
)

// openCallbacks makes what tells clients what came of their requests. The gateway is there.
func (n *Node) openCallbacks() (err error) {
	n.callback, err = callback.New(callback.Options{Log: n.log, State: n.gateway.StateOf, Secret: n.opened.open, Allow: calledBack(n.config), Logger: n.logger, Metrics: n.metrics})
	return err
}

// calledBack are the networks of callbacks.allow, which config has read already.
func calledBack(c *config.Node) []netip.Prefix {
	var allow []netip.Prefix
	for _, text := range c.Callbacks.Allow {
		allow = append(allow, netip.MustParsePrefix(text))
	}
	return allow
}
