package egress

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/dalamb/dalamb/internal/runner"
)

// policy decides where a sandbox may connect to.
//
//   - nowhere: loopback, "this network", multicast, broadcast, the link's own two ends, and all that is not IPv4;
//   - guarded: the host's own addresses and those where clouds answer questions about a machine. Only a destination that is this one
//     address opens them: a range that happens to hold them does not;
//   - private: what IANA's registry of special-purpose addresses does not call globally reachable. Only a range opens them, not "the
//     internet": a function that was written to call a public API must not be talked into asking the machine's neighbours, which trust
//     the machine's address;
//   - public: all else.
type policy struct{ allow []runner.Allowed }

// verdict says why a destination is refused; "" = it is not.
type verdict string

func (p *policy) judge(to netip.AddrPort) verdict {
	a := to.Addr().Unmap()
	if !a.Is4() || a == gateway || a == inside || in(a, nowhere()) {
		return "no function may reach it"
	}
	own, err := hosts(a)
	if err != nil {
		return verdict(fmt.Sprintf("this machine's own addresses cannot be told: %v", err))
	}
	guarded := own || in(a, metadata())
	for i := range p.allow {
		d := &p.allow[i]
		switch {
		case !d.Names(to.Port()):
		case !d.Prefix.IsValid():
			if !guarded && !in(a, private()) {
				return ""
			}
		case d.Prefix.Contains(a) && (!guarded || d.Prefix.Bits() == a.BitLen()):
			return ""
		}
	}
	switch {
	case own:
		return "it is this machine, or its broadcast address; only allow with this one address opens it"
	case guarded:
		return "it tells about this machine; only allow with this one address opens it"
	case in(a, private()):
		return "it is not of the internet; allow with its range opens it"
	}
	return "the function's allow does not name it"
}

func in(a netip.Addr, all []netip.Prefix) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParsePrefix(t)
	}
	return all
}

func nowhere() []netip.Prefix {
	return prefixes("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32")
}

// metadata: link-local, where AWS, Google, Azure and others have theirs; Alibaba's, Azure's second, Oracle's.
func metadata() []netip.Prefix {
	return prefixes("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
}

// private is the rest of what is not globally reachable. // IANA IPv4 Special-Purpose Address Registry; RFC 6890
func private() []netip.Prefix {
	return prefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4")
}

// hosts says whether an address is the machine's own, or a broadcast address of its networks. It is asked for every connection: addresses
// come and go.
func hosts(a netip.Addr) (bool, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list interface addresses: %w", err)
	}
	for _, one := range all {
		p, err := netip.ParsePrefix(one.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if p.Addr() == a || p.Bits() < 31 && p.Contains(a) && (a == p.Masked().Addr() || !p.Contains(a.Next())) {
			return true, nil
		}
	}
	return routedHere(a)
}

// routedHere asks the kernel for its route, and sends nothing: from a machine to itself the sender is the receiver. It finds what is local
// without being an interface's address.
func routedHere(a netip.Addr) (bool, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false, nil // no way there at all: the connection will say so
	}
	defer c.Close()
	from, ok := c.LocalAddr().(*net.UDPAddr)
	return ok && from.AddrPort().Addr().Unmap() == a, nil
}
