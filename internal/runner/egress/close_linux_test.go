package egress

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

// ownAddress is one of this machine's that a function may be allowed.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var own netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !in(p.Addr(), nowhere()) {
			own = p.Addr()
		}
	}
	need.That(t, own.IsValid(), "an IPv4 address beside loopback")
	return own
}

// syn is the first packet of a connection.
func syn(to netip.AddrPort) []byte {
	b := make([]byte, header.IPv4MinimumSize+header.TCPMinimumSize)
	ip, segment := header.IPv4(b), header.TCP(b[header.IPv4MinimumSize:])
	from, there := tcpip.AddrFrom4(inside.As4()), tcpip.AddrFrom4(to.Addr().As4())
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: from, DstAddr: there,
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	segment.Encode(&header.TCPFields{
		SrcPort: 40000, DstPort: to.Port(), SeqNum: 1, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn, WindowSize: 1 << 15,
	})
	segment.SetChecksum(^segment.CalculateChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, there, header.TCPMinimumSize)))
	return b
}

// opened is a Link whose device is a socket, and the other end of that.
func opened(t *testing.T, o Options) (*Link, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	o.Device = os.NewFile(uintptr(fds[0]), "tun")
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, os.NewFile(uintptr(fds[1]), "sandbox")
}

// A sandbox that ends while a connection is being made never answers the handshake.
func TestCloseEndsAHandshakeThatIsAboutToBegin(t *testing.T) {
	own := ownAddress(t)
	s, err := net.Listen("tcp4", netip.AddrPortFrom(own, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to := netip.MustParseAddrPort(s.Addr().String())
	shared := NewBudget(1)
	for range 300 {
		l, sandbox := opened(t, Options{Allow: []runner.Allowed{{Prefix: netip.PrefixFrom(own, 32)}}, Budget: shared})
		if _, err := sandbox.Write(syn(to)); err != nil {
			t.Fatal(err)
		}
		c, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		c.Close()
		sandbox.Close()
		if used := shared.used.Load(); used != 0 {
			t.Fatalf("%d flows are counted after Close, want 0", used)
		}
	}
}
