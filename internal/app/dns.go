package app

import (
	"context"

	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/discovery/dns"
)

// openDNS takes the address where services are answered for in DNS, where one is wanted.
func (n *Node) openDNS() (s *dns.Server, err error) {
	if n.config.DNS == "" {
		return nil, nil
	}
	return dns.Listen(n.config.DNS, func() *discovery.View { return n.services.View() }, n.logger)
}

// serveDNS is the part that answers there; it has nothing to do where none is wanted.
func (n *Node) serveDNS(ctx context.Context) error {
	if n.dns == nil {
		<-ctx.Done()
		return nil
	}
	return n.dns.Serve(ctx)
}
