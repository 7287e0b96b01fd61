package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// smuggle tries to get to an address past what carries connections of TCP and UDP, in the ways that are named.
func smuggle(a []string) {
	to := netip.MustParseAddrPort(a[0])
	ways := map[string]func(netip.AddrPort) error{
		"raw":       func(netip.AddrPort) error { return opened(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW) },
		"icmp":      func(netip.AddrPort) error { return opened(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) },
		"packet":    func(netip.AddrPort) error { return opened(unix.AF_PACKET, unix.SOCK_RAW, 0) },
		"mapped":    mapped,
		"forged":    forged,
		"fragments": fragments,
		"broadcast": func(to netip.AddrPort) error { return toAll("255.255.255.255", "broadcast", to) },
		"multicast": func(to netip.AddrPort) error { return toAll("224.0.0.1", "multicast", to) },
	}
	for _, name := range a[1:] {
		if err := ways[name](to); err != nil {
			fmt.Println(name, "denied", err)
		} else {
			fmt.Println(name, "sent")
		}
	}
}

// opened says whether such a socket is to be had.
func opened(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// mapped connects to an address of IPv4 by a socket of IPv6. // RFC 4291, section 2.5.5.2
func mapped(to netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: netip.AddrFrom16(to.Addr().As16()).As16()})
}

// forged sends a datagram whose sender is another than this sandbox.
func forged(to netip.AddrPort) error {
	return datagram(sending{from: "198.51.100.7:7", to: to, text: "forged", option: [3]int{unix.IPPROTO_IP, unix.IP_FREEBIND, 1}}, to)
}

// fragments sends one in pieces.
func fragments(to netip.AddrPort) error {
	text := "fragments" + strings.Repeat(".", 65507-len("fragments")) // as long as one may be, and longer than the device takes
	return datagram(sending{from: "0.0.0.0:0", to: to, text: text, option: [3]int{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT}}, to)
}

// toAll sends one to all of a network, at the port of the address.
func toAll(group, text string, to netip.AddrPort) error {
	all := netip.AddrPortFrom(netip.MustParseAddr(group), to.Port())
	return datagram(sending{from: "0.0.0.0:0", to: all, text: text, option: [3]int{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}}, to)
}

// sending is one datagram, and an option of its socket.
type sending struct {
	from   string
	to     netip.AddrPort
	text   string
	option [3]int
}

// datagram sends it, and then another one to an address in the ordinary way, and waits until that has come: by then the first has, too.
func datagram(s sending, ordinary netip.AddrPort) error {
	var refused error
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if err := c.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), s.option[0], s.option[1], s.option[2]) }); err != nil {
			return err
		}
		return refused
	}}
	p, err := config.ListenPacket(context.Background(), "udp4", s.from)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := p.WriteTo([]byte(s.text), net.UDPAddrFromAddrPort(s.to)); err != nil {
		return err
	}
	q, err := net.Dial("udp4", ordinary.String())
	if err != nil {
		return err
	}
	defer q.Close()
	if err := q.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := q.Write([]byte("ordinary")); err != nil {
		return err
	}
	_, err = q.Read(make([]byte, 16))
	return err
}

// crowd opens connections to an address until it gets no more, or has as many as asked, and prints how many.
func crowd(a []string) {
	most := 0
	fmt.Sscan(a[1], &most)
	var all []net.Conn
	for len(all) < most {
		c, err := net.DialTimeout("tcp4", a[0], time.Second)
		if err != nil {
			break
		}
		all = append(all, c)
	}
	fmt.Println("connections", len(all))
}
