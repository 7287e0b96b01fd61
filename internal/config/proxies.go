package config

import (
	"fmt"
	"net/netip"
)

// Proxies says whose word is taken on where a request comes from.
type Proxies struct {
	Trusted []string // networks or addresses; none = nobody's
	Header  string   // how they say it
}

// Networks are the trusted ones. The settings must have been checked.
func (p *Proxies) Networks() []netip.Prefix {
	out := make([]netip.Prefix, len(p.Trusted))
	for i, text := range p.Trusted {
		out[i], _ = network(text)
	}
	return out
}

// network reads a network, or an address, which is one by itself.
func network(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p != p.Masked() {
		err = fmt.Errorf("%s has bits beyond the network; %s?", text, p.Masked())
	}
	return p, err
}

func proxySettings() []Setting {
	return []Setting{
		{Key: "proxies.trusted", Flag: "trusted-proxies", Form: "list of networks", List: true, Live: true, Help: "Proxies before the gateway, such as 10.0.0.0/8, that are believed on where a request comes from. Of others such fields are dropped. Default: nobody; docs/tls.md.",
			value: func(n *Node) any { return &n.Proxies.Trusted },
			check: func(n *Node) string {
				for _, text := range n.Proxies.Trusted {
					p, err := network(text)
					switch {
					case err != nil:
						return fmt.Sprintf("has %q, which is no network such as 10.0.0.0/8, and no address", text)
					case p.Bits() == 0:
						return fmt.Sprintf("has %q, which is everybody", text)
					}
				}
				return ""
			}},
		{Key: "proxies.header", Flag: "proxy-header", Form: "x-forwarded or forwarded", Live: true, Help: "How they say it: by X-Forwarded-For, -Proto and -Host, or by Forwarded (RFC 7239). They have to write all of it anew: what they let through would be a client's own word.",
			value: func(n *Node) any { return &n.Proxies.Header }, check: func(n *Node) string { return oneOf(n.Proxies.Header, "x-forwarded", "forwarded") }},
	}
}
