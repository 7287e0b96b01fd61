package egress

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// forwardTCP carries one connection, from its first packet to its end. The sandbox's is accepted when the other one is made, so that what
// is refused out there is refused in here. The stack calls it on a goroutine of its own.
func (l *Link) forwardTCP(ctx context.Context, r *tcp.ForwarderRequest) {
	out := l.dialFor(ctx, r)
	if out == nil {
		r.Complete(true)
		return
	}
	defer l.work.Done()
	defer l.give()
	defer out.Close()
	var events waiter.Queue
	ep, err := r.CreateEndpoint(&events)
	r.Complete(err != nil)
	if err != nil {
		return
	}
	in := gonet.NewTCPConn(&events, ep)
	defer in.Close()
	stop := context.AfterFunc(ctx, func() {
		in.Close()
		out.Close()
	})
	defer stop()
	splice(in, out)
}

// dialFor makes the connection that a sandbox asks for. nil = it has none. Else the caller gives back the flow and ends its work.
func (l *Link) dialFor(ctx context.Context, r *tcp.ForwarderRequest) duplex {
	if !l.begin() {
		return nil
	}
	to := destination(r.ID())
	if !l.take() {
		l.refuse("tcp", to, tooMany)
		l.work.Done()
		return nil
	}
	out, why := l.dial(ctx, to)
	if why != "" {
		l.refuse("tcp", to, why)
	}
	if out == nil {
		l.give()
		l.work.Done()
		return nil
	}
	return out
}

func (l *Link) dial(ctx context.Context, to netip.AddrPort) (duplex, verdict) {
	if isDNS(to) {
		return l.dialResolver(ctx), ""
	}
	if why := l.policy.judge(to); why != "" {
		return nil, why
	}
	return l.dialTCP(ctx, to), ""
}

// dialTCP gives no error: to the sandbox all are a refused connection.
func (l *Link) dialTCP(ctx context.Context, to netip.AddrPort) duplex {
	c, err := l.dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil
	}
	return c.(*net.TCPConn)
}

// duplex is a connection of which one direction may end before the other.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// splice carries both ways until both have ended, or one has failed.
func splice(a, b duplex) {
	var both sync.WaitGroup
	carry := func(to, from duplex) {
		if _, err := io.Copy(to, from); err == nil {
			err = to.CloseWrite()
			if err == nil {
				return
			}
		}
		a.Close()
		b.Close()
	}
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
}
