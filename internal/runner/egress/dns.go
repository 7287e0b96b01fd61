package egress

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	dnsPort = 53
	dnsWait = 3 * time.Second // for one resolver
	// dnsIdle is how long a flow is kept when all its queries are answered. Resolver libraries take a port for each name, and a flow of each
	// for udpIdle would use up what a sandbox may have.
	dnsIdle = 2 * time.Second
	// maxQueries of one flow are under way; a resolver library has two.
	maxQueries  = 8
	maxDatagram = 65535
	dnsHeader   = 12 // RFC 1035, section 4.1.1
)

func isDNS(to netip.AddrPort) bool { return to.Addr() == gateway && to.Port() == dnsPort }

// resolvers are those of the host, asked for every time: they change when the machine moves. // resolv.conf(5)
func (l *Link) resolvers() []netip.AddrPort {
	f, err := os.Open(l.resolvConf)
	if err != nil {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort)}
	}
	defer f.Close()
	return nameservers(bufio.NewScanner(f))
}

func nameservers(lines *bufio.Scanner) []netip.AddrPort {
	var all []netip.AddrPort
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			all = append(all, netip.AddrPortFrom(a, dnsPort))
		}
	}
	if all == nil {
		all = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort)}
	}
	return all
}

// dialResolver connects to the first of the host's resolvers that can be reached.
func (l *Link) dialResolver(ctx context.Context) duplex {
	for _, to := range l.resolvers() {
		d := net.Dialer{Timeout: dnsWait}
		if c, err := d.DialContext(ctx, "tcp", to.String()); err == nil {
			return c.(*net.TCPConn)
		}
	}
	return nil
}

// answer has the host's resolvers answer what comes in, until nothing does for a while.
func (l *Link) answer(ctx context.Context, in net.Conn) {
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	idle := time.AfterFunc(udpIdle, func() { in.Close() })
	defer idle.Stop()
	var queries sync.WaitGroup
	defer queries.Wait()
	room := make(chan struct{}, maxQueries)
	b := make([]byte, maxDatagram)
	for {
		n, err := in.Read(b)
		if err != nil {
			return
		}
		idle.Reset(udpIdle)
		if n < dnsHeader {
			continue
		}
		query := append([]byte(nil), b[:n]...)
		room <- struct{}{}
		queries.Go(func() {
			if reply := l.ask(ctx, query); reply != nil {
				_, _ = in.Write(reply) // a flow that has ended needs none
			}
			<-room
			if len(room) == 0 {
				idle.Reset(dnsIdle)
			}
		})
	}
}

// ask asks the resolvers one after the other. Each query has a socket, and so a port, of its own: a stranger can forge an answer only by
// guessing it.
func (l *Link) ask(ctx context.Context, query []byte) []byte {
	for _, to := range l.resolvers() {
		if reply := askOne(ctx, to, query); reply != nil {
			return reply
		}
	}
	return nil
}

func askOne(ctx context.Context, to netip.AddrPort, query []byte) []byte {
	ctx, cancel := context.WithTimeout(ctx, dnsWait)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := c.Write(query); err != nil {
		return nil
	}
	b := make([]byte, maxDatagram)
	for {
		n, err := c.Read(b)
		if err != nil {
			return nil
		}
		if n >= dnsHeader && b[0] == query[0] && b[1] == query[1] {
			return b[:n]
		}
	}
}
