package egress

import (
	"net"
	"net/netip"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

func TestJudge(t *testing.T) {
	to := func(prefix string, ports ...uint16) runner.Allowed {
		return runner.Allowed{Prefix: netip.MustParsePrefix(prefix), Ports: ports}
	}
	internet := runner.Allowed{}
	for _, c := range []struct {
		allow   []runner.Allowed
		to      string
		reached bool
	}{
		{[]runner.Allowed{internet}, "1.1.1.1:53", true},
		{[]runner.Allowed{{Ports: []uint16{443}}}, "1.1.1.1:443", true},
		{[]runner.Allowed{{Ports: []uint16{443}}}, "1.1.1.1:80", false},
		{[]runner.Allowed{internet}, "10.0.0.1:80", false},
		{[]runner.Allowed{internet}, "172.16.0.1:80", false},
		{[]runner.Allowed{internet}, "172.32.0.1:80", true},
		{[]runner.Allowed{internet}, "192.168.1.1:80", false},
		{[]runner.Allowed{internet}, "100.64.0.1:80", false},
		{[]runner.Allowed{internet}, "198.18.0.1:80", false},
		{[]runner.Allowed{internet}, "240.0.0.1:80", false},
		{[]runner.Allowed{internet}, "169.254.169.254:80", false},
		{[]runner.Allowed{internet}, "168.63.129.16:80", false},
		{[]runner.Allowed{internet}, "127.0.0.1:80", false},
		{[]runner.Allowed{internet}, "0.0.0.0:80", false},
		{[]runner.Allowed{internet}, "224.0.0.1:80", false},
		{[]runner.Allowed{internet}, "255.255.255.255:80", false},
		{[]runner.Allowed{internet}, "192.0.0.1:80", false},
		{[]runner.Allowed{internet}, "[2606:4700::1111]:80", false},
		{[]runner.Allowed{internet}, "[::ffff:127.0.0.1]:80", false},
		{[]runner.Allowed{to("10.0.0.0/8")}, "10.9.8.7:80", true},
		{[]runner.Allowed{to("10.0.0.0/8", 1, 2)}, "10.9.8.7:2", true},
		{[]runner.Allowed{to("10.0.0.0/8")}, "1.1.1.1:80", false},
		{[]runner.Allowed{to("10.0.0.0/8"), internet}, "1.1.1.1:80", true},
		{[]runner.Allowed{to("0.0.0.0/0")}, "169.254.169.254:80", false},
		{[]runner.Allowed{to("0.0.0.0/0")}, "127.0.0.1:80", false},
		{[]runner.Allowed{to("168.0.0.0/6")}, "168.63.129.16:80", false},
		{[]runner.Allowed{to("169.254.1.2/32")}, "169.254.1.2:80", true},
		{[]runner.Allowed{to("127.0.0.1/32")}, "127.0.0.1:80", false},
		{[]runner.Allowed{to("192.0.0.1/32")}, "192.0.0.1:80", false},
		{nil, "1.1.1.1:80", false},
	} {
		p := policy{allow: c.allow}
		if why := p.judge(netip.MustParseAddrPort(c.to)); (why == "") != c.reached {
			t.Errorf("judge(%v, %s) = %q, want reached: %t", c.allow, c.to, why, c.reached)
		}
	}
}

func TestTheMachinesOwnAddressesAreGuarded(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		a := netip.MustParsePrefix(one.String()).Addr()
		if !a.Is4() || a.IsLoopback() {
			continue
		}
		to := netip.AddrPortFrom(a, 80)
		wide, err := a.Prefix(8)
		if err != nil {
			t.Fatal(err)
		}
		for _, allow := range []runner.Allowed{{}, {Prefix: wide}, {Prefix: netip.PrefixFrom(a, 31).Masked()}} {
			p := policy{allow: []runner.Allowed{allow}}
			if p.judge(to) == "" {
				t.Errorf("%v opens %s, which is the machine's", allow, to)
			}
		}
		p := policy{allow: []runner.Allowed{{Prefix: netip.PrefixFrom(a, 32), Ports: []uint16{80}}}}
		if why := p.judge(to); why != "" {
			t.Errorf("%s is refused although it is allowed alone: %s", to, why)
		}
	}
}
