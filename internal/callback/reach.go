package callback

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// newClient is a client that reaches the internet and what is allowed, nothing else. The address is looked at when it is dialled, after its name was
// resolved: a name whose answer changes between a check and the use of it, and one that leads to a private address, come to nothing.
func newClient(allow func() []netip.Prefix) *http.Client {
	dialer := &net.Dialer{Timeout: patience, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fault.New(fault.Denied, "%s is no address", address)
		}
		return reachable(at.Addr(), allow())
	}}
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{ // of no proxy: that would dial in the place of the dialer
			DialContext: dialer.DialContext, TLSHandshakeTimeout: patience, MaxIdleConns: 16, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reachable refuses an address that is not of the internet, unless it is allowed.
func reachable(a netip.Addr, allow []netip.Prefix) error {
	a = a.Unmap().WithZone("")
	holds := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case slices.ContainsFunc(allow, holds):
		return nil
	case !a.IsGlobalUnicast(), a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast(), slices.ContainsFunc(special(), holds):
		return fault.New(fault.Denied, "%s is no address of the internet", a).WithHint("the setting callbacks.allow of the node names the networks that may be called back nevertheless")
	}
	return nil
}

// special are networks that IANA's registries of special-purpose addresses do not call globally reachable, or that stand for others (6to4, Teredo,
// NAT64 and addresses of IPv4 in IPv6, through which a gateway may lead to any of them), and where clouds tell about a machine, beside those that
// package netip knows. RFC 6890.
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
