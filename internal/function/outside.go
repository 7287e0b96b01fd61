package function

import (
	"fmt"
	"net/netip"
	"slices"
)

// Outside says where a function, or the node for it, would connect to beyond the addresses that everybody can connect to: the machine, its network, and what the node alone may ask.
// Each is a text that two functions have alike where they mean the same, sorted, each once. A name counts: who has it points it where he likes, into the node's network too.
func (s *Spec) Outside() []string {
	var all []string
	if s.Network == NetworkHost {
		all = append(all, "network: host")
	}
	for i := range s.Allow {
		d := &s.Allow[i]
		if p, err := d.Prefix(); err == nil && p.IsValid() && !public(p) {
			all = append(all, fmt.Sprintf("allow: %s %v", d.To, d.Ports))
		}
	}
	for i := range s.Triggers {
		if r := s.Triggers[i].Route; r != nil && r.Upstream != nil {
			all = append(all, r.Upstream.outside()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (u *Upstream) outside() []string {
	var all []string
	for i := range u.Static {
		if at, err := netip.ParseAddrPort(u.Static[i].hostPort()); err != nil || !public(netip.PrefixFrom(at.Addr().Unmap(), at.Addr().Unmap().BitLen())) {
			all = append(all, "upstream: static: "+u.Static[i].Address)
		}
	}
	if u.Service != "" {
		all = append(all, "upstream: service: "+u.Service)
	}
	if d := u.DNS; d != nil {
		all = append(all, fmt.Sprintf("upstream: dns: %s %s %d %s", d.Name, d.Type, d.Port, d.Resolver))
	}
	if c := u.Consul; c != nil {
		all = append(all, fmt.Sprintf("upstream: consul: %s %s", c.URL, c.Service))
	}
	if e := u.Etcd; e != nil {
		all = append(all, fmt.Sprintf("upstream: etcd: %s %s", e.URL, e.Prefix))
	}
	if k := u.Kubernetes; k != nil {
		all = append(all, fmt.Sprintf("upstream: kubernetes: %s %s %s", k.Name(), k.Port, k.URL))
	}
	return all
}

// hostPort is Server's, or "" of one that cannot be read.
func (s *UpstreamServer) hostPort() string {
	_, address, err := s.Server()
	if err != nil {
		return ""
	}
	return address
}

// public says whether every address of a range is of the internet.
func public(p netip.Prefix) bool {
	a := p.Addr()
	if a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(reserved(), func(r netip.Prefix) bool { return r.Overlaps(p) })
}

// reserved are the ranges that IANA's registries of special-purpose addresses do not call globally reachable, or through which a gateway may lead to such
// (6to4, Teredo, NAT64), and where clouds tell about a machine. RFC 6890.
func reserved() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
