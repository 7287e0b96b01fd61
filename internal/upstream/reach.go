package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// dialer connects to a server, by TLS where it is one of https. The address is looked at when it is dialled, after its name was resolved.
func (p *Pool) dialer(s Server) func(context.Context) (net.Conn, error) {
	d := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("read the address %s: %w", address, err)
		}
		return p.reachable(&s, at.Addr())
	}}
	if p.rule.DNS != nil {
		d.Resolver = resolverOf(p.rule.DNS)
	}
	var secured *tls.Config
	if s.Scheme == function.UpstreamHTTPS {
		secured = tlsOf(p.rule.TLS, s.Address)
	}
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, p.connect)
		defer cancel()
		nc, err := p.up.lines.dial(ctx, cancel, d, s.Address)
		if err != nil {
			return nil, err
		}
		if secured == nil {
			return nc, nil
		}
		over := tls.Client(nc, secured)
		if err := over.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		return over, nil
	}
}

// tlsOf is how a server of https proves who it is.
func tlsOf(rule *function.UpstreamTLS, address string) *tls.Config {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		name = address
	}
	c := &tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}}
	if rule == nil {
		return c
	}
	if rule.Name != "" {
		c.ServerName = rule.Name
	}
	if rule.CA != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(rule.CA)) // the manifest was checked
	}
	return c
}

// refused says why a server is left out whose address is known.
func (p *Pool) refused(s *Server) error {
	if !function.ValidServerAddress(s.Address) {
		return fault.New(fault.Invalid, "it is no HOST:PORT that can be connected to")
	}
	host, _, _ := net.SplitHostPort(s.Address) // it is valid
	if a, err := netip.ParseAddr(host); err == nil {
		return p.reachable(s, a)
	}
	return nil
}

// reachable says why a server may not have an address. What a developer has written down is his word; what a directory says may be a stranger's, who
// would have the node ask what only the node can reach: itself, and what clouds tell a machine about itself.
func (p *Pool) reachable(s *Server, a netip.Addr) error {
	a = a.Unmap().WithZone("")
	host, _, _ := net.SplitHostPort(s.Address) // refused has looked at it
	literal := host == a.String()
	switch {
	case literal && s.Named == byDeveloper, p.up.o.Permit(a):
		return nil
	case a.IsUnspecified() || a.IsMulticast() || a.IsInterfaceLocalMulticast():
		return fault.New(fault.Denied, "%s is no address of a server", a)
	case a.IsLinkLocalUnicast() || slices.ContainsFunc(metadata(), func(p netip.Prefix) bool { return p.Contains(a) }):
		return fault.New(fault.Denied, "%s is where clouds tell a machine about itself", a).WithHint("an upstream that is meant to be there lists it in static")
	case a.IsLoopback() && !(literal && s.Named == byService) && !(host == "localhost" && s.Named != byAnybody):
		return fault.New(fault.Denied, "%s is the node itself", a).WithHint("an upstream that is meant to be there lists it in static")
	}
	return nil
}

// metadata are the addresses outside of the link-local ones where clouds have theirs: Alibaba's, Azure's, Oracle's, and AWS's by IPv6.
func metadata() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32"} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
