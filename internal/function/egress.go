package function

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Values of Spec.Network.
const (
	NetworkNone   = "none"
	NetworkEgress = "egress"
	NetworkHost   = "host"
)

// Internet as Allowed.To is every address that is reachable from everywhere.
const Internet = "internet"

// Allowed is where a function with network: egress may connect to.
type Allowed struct {
	To    string `json:"to"`              // Internet, a CIDR or an address, of IPv4
	Ports []int  `json:"ports,omitempty"` // of TCP and UDP; none = all
}

// Prefix is To as a range of addresses; the zero Prefix is the internet.
func (d *Allowed) Prefix() (netip.Prefix, error) {
	if d.To == Internet {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(d.To); err == nil && a.Is4() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(d.To)
	switch {
	case err != nil && strings.Contains(d.To, ":"), err == nil && !p.Addr().Is4():
		return p, fmt.Errorf("%q is not IPv4, and functions have no way out by IPv6", clip(d.To))
	case err != nil:
		return p, fmt.Errorf("%q is neither internet nor a range of IPv4 addresses", clip(d.To))
	case p != p.Masked():
		return p, fmt.Errorf("%q has bits beyond its length of %d; the range is %s", clip(d.To), p.Bits(), p.Masked())
	}
	return p, nil
}

// unreachable are ranges that no function may reach, whatever it says.
func unreachable() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/4"),
	}
}

const (
	maxAllowed = 64
	maxPorts   = 64
)

func allowedValue() value[Allowed] {
	return object([]string{"to"},
		field("to", "internet: every address that is reachable from everywhere. Or a range (10.1.0.0/16) or an address, of IPv4; the machine's own addresses and link-local ones only as a single address.", text[string](), func(d *Allowed) *string { return &d.To }),
		field("ports", "Of TCP and UDP, such as [443]. Default: all.", list(whole(), none[int]), func(d *Allowed) *[]int { return &d.Ports }),
	)
}

// allow checks where a function may connect to.
func (c *checker) allow(s *Spec) {
	if len(s.Allow) == 0 {
		return
	}
	if s.Network != NetworkEgress {
		c.add("allow", "network: egress", "says where a function with network: egress may connect to, and this one has network: %s", clip(s.Network))
	}
	if len(s.Allow) > maxAllowed {
		c.add("allow", "", "%d destinations are more than %d", len(s.Allow), maxAllowed)
		return
	}
	for i := range s.Allow {
		c.allowed(fmt.Sprintf("allow[%d]", i), &s.Allow[i])
	}
}

func (c *checker) allowed(at string, d *Allowed) {
	p, err := d.Prefix()
	if err != nil {
		c.add(at+".to", "internet, a range such as 10.1.0.0/16, or an address such as 10.1.2.3", "%v", err)
	}
	for _, no := range unreachable() {
		if err == nil && p.IsValid() && p.Overlaps(no) {
			c.add(at+".to", "for every public address: internet", "%s holds addresses of %s, which no function may reach", p, no)
			break
		}
	}
	if len(d.Ports) > maxPorts {
		c.add(at+".ports", "", "%d ports are more than %d", len(d.Ports), maxPorts)
		return
	}
	for i, port := range d.Ports {
		field := fmt.Sprintf("%s.ports[%d]", at, i)
		between(c.at(field), port, 1, 65535)
		if slices.Index(d.Ports, port) < i {
			c.add(field, "", "port %d is there twice", port)
		}
	}
}
