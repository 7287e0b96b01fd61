package egress

import (
	"bufio"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// packet is an IPv4 one with 8 bytes after its header.
func packet(change func(header.IPv4)) []byte {
	b := make([]byte, header.IPv4MinimumSize+8)
	h := header.IPv4(b)
	h.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4(inside.As4()), DstAddr: tcpip.AddrFrom4([4]byte{1, 1, 1, 1}),
	})
	if change != nil {
		change(h)
	}
	return b
}

func TestPasses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(header.IPv4)
		want   bool
	}{
		{"UDP", nil, true},
		{"TCP", func(h header.IPv4) { h[9] = 6 }, true},
		{"ICMP", func(h header.IPv4) { h[9] = 1 }, false},
		{"GRE", func(h header.IPv4) { h[9] = 47 }, false},
		{"IPv6", func(h header.IPv4) { h[0] = 0x60 }, false},
		{"forged sender", func(h header.IPv4) { h.SetSourceAddress(tcpip.AddrFrom4([4]byte{10, 0, 0, 1})) }, false},
		{"sender is the gateway", func(h header.IPv4) { h.SetSourceAddress(tcpip.AddrFrom4(gateway.As4())) }, false},
		{"first fragment", func(h header.IPv4) { h.SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0) }, false},
		{"last fragment", func(h header.IPv4) { h.SetFlagsFragmentOffset(0, 8) }, false},
		{"longer than it is", func(h header.IPv4) { h.SetTotalLength(2000) }, false},
		{"options", func(h header.IPv4) { h[0] = 0x46 }, false},
	} {
		if got := passes(packet(c.change)); got != c.want {
			t.Errorf("%s: passes = %t, want %t", c.name, got, c.want)
		}
	}
}

func FuzzPasses(f *testing.F) {
	f.Add(packet(nil))
	f.Add([]byte{0x45})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if passes(b) && header.IPv4(b).SourceAddress() != tcpip.AddrFrom4(inside.As4()) {
			t.Errorf("% x passes and is not the sandbox's", b)
		}
	})
}

func TestNameservers(t *testing.T) {
	for _, c := range []struct {
		conf string
		want []string
	}{
		{"nameserver 10.0.0.2\n", []string{"10.0.0.2:53"}},
		{"# x\nsearch a b\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\noptions edns0\n", []string{"127.0.0.53:53", "[fe80::1%eth0]:53"}},
		{"nameserver nobody\nnameserver\n", []string{"127.0.0.1:53"}},
		{"", []string{"127.0.0.1:53"}},
	} {
		var want []netip.AddrPort
		for _, w := range c.want {
			want = append(want, netip.MustParseAddrPort(w))
		}
		if got := nameservers(bufio.NewScanner(strings.NewReader(c.conf))); !slices.Equal(got, want) {
			t.Errorf("nameservers(%q) = %v, want %v", c.conf, got, want)
		}
	}
}

func TestBudgetIsGivenBack(t *testing.T) {
	own, shared := NewBudget(2), NewBudget(1)
	l := &Link{own: own, shared: shared}
	if !l.take() || l.take() {
		t.Fatal("a budget of one gave none, or two")
	}
	if used := own.used.Load(); used != 1 {
		t.Errorf("%d are counted after one was refused, want 1", used)
	}
	l.give()
	if !l.take() {
		t.Error("what was given back cannot be taken")
	}
}
