package egress

import (
	"context"
	"net"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// forwardUDP begins to carry one flow: what one port of the sandbox sends to one destination, and what comes back. The stack waits for it,
// and tells the sandbox when the port cannot be reached.
func (l *Link) forwardUDP(ctx context.Context, r *udp.ForwarderRequest) (handled bool) {
	to := destination(r.ID())
	if !isDNS(to) {
		if why := l.policy.judge(to); why != "" {
			l.refuse("udp", to, why)
			return false
		}
	}
	if !l.begin() {
		return false
	}
	if !l.take() {
		l.work.Done()
		l.refuse("udp", to, tooMany)
		return false
	}
	var events waiter.Queue
	ep, err := r.CreateEndpoint(&events)
	if err != nil {
		l.give()
		l.work.Done()
		return false
	}
	in := gonet.NewUDPConn(&events, ep)
	go func() {
		defer l.work.Done()
		defer l.give()
		defer in.Close()
		if isDNS(to) {
			l.answer(ctx, in)
			return
		}
		out, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return
		}
		defer out.Close()
		carryUDP(ctx, in, out)
	}()
	return true
}

// carryUDP carries both ways until nothing has come for a while.
func carryUDP(ctx context.Context, in, out net.Conn) {
	end := func() {
		in.Close()
		out.Close()
	}
	stop := context.AfterFunc(ctx, end)
	defer stop()
	idle := time.AfterFunc(udpIdle, end)
	defer idle.Stop()
	back := make(chan struct{})
	go func() {
		defer close(back)
		carryDatagrams(in, out, idle)
	}()
	carryDatagrams(out, in, idle)
	end()
	<-back
}

// carryDatagrams ends when there is nothing to read any more. What cannot be sent is lost, as datagrams are.
func carryDatagrams(to, from net.Conn, idle *time.Timer) {
	b := make([]byte, maxDatagram)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		idle.Reset(udpIdle)
		_, _ = to.Write(b[:n])
	}
}
