// Package egress is the way out of a sandbox: it takes the packets that the sandbox sends into a TUN device, ends their TCP connections and
// UDP flows in a network stack of the node's own, and goes on with sockets of the node's. It decides which destinations may be reached and
// answers for DNS. It does not make the device, and the sandbox does not see the host's network: what is not passed on here does not
// exist for it.
//
// There is nothing on the host to set up, to collide with or to clean up: no interface, no address, no rule, no forwarding. When the node
// ends, the descriptor closes and the device goes. That is why packets are not routed by the kernel (veth, NAT): it would take root, be
// slower to set up, and leave the host changed after a kill.
package egress

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/dalamb/dalamb/internal/runner"
)

// MTU of the device: large, since what it carries stays on this machine.
const MTU = 65520

// The two ends of a sandbox's link, the same in every sandbox: they are seen in it alone. // RFC 7335
var (
	gateway = netip.AddrFrom4([4]byte{192, 0, 0, 1})
	inside  = netip.AddrFrom4([4]byte{192, 0, 0, 2})
)

// Resolv is the resolv.conf of a sandbox.
func Resolv() string { return "nameserver " + gateway.String() + "\n" }

const (
	nic = 1
	// maxFlows bounds the connections and flows of one sandbox, and with bufferMost the memory that it can take from the node.
	maxFlows    = 256
	maxPending  = 64 // connections that are being made
	bufferMost  = 256 << 10
	dialTimeout = 30 * time.Second
	udpIdle     = time.Minute
	abortEvery  = 5 * time.Millisecond
)

// Options are what a Link is made from.
type Options struct {
	Device *os.File         // TUN, without packet information; the Link closes it
	Allow  []runner.Allowed // nil = the internet
	Budget *Budget          // shared by all links of a node; nil = no bound but the link's own
	Log    *slog.Logger     // nil = none

	ResolvConf string // of the host; "" = /etc/resolv.conf
}

// Link carries what one sandbox sends and receives. Close ends it.
type Link struct {
	device     *os.File
	policy     policy
	log        *slog.Logger
	resolvConf string
	own        *Budget
	shared     *Budget // with the node's other links

	endpoint *channel.Endpoint
	stack    *stack.Stack
	dialer   net.Dialer
	cancel   context.CancelFunc // ends all that goes on for the sandbox
	refusals refusals

	work   sync.WaitGroup
	mu     sync.Mutex
	closed bool
}

// Open starts to carry.
func Open(o Options) (*Link, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	l := &Link{
		device: o.Device, policy: policy{allow: o.Allow}, log: o.Log, resolvConf: o.ResolvConf, own: NewBudget(maxFlows), shared: o.Budget,
		endpoint: channel.New(queue, MTU, ""), dialer: net.Dialer{Timeout: dialTimeout},
	}
	if l.policy.allow == nil {
		l.policy.allow = []runner.Allowed{{}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	if err := l.makeStack(ctx); err != nil {
		l.Close()
		return nil, err
	}
	l.work.Go(l.receive)
	return l, nil
}

// makeStack makes one that takes the sandbox's packets, whomever they are for, and answers in that one's name.
func (l *Link) makeStack(ctx context.Context) error {
	l.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	send := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: bufferMost, Max: bufferMost}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: bufferMost, Max: bufferMost}
	for _, step := range []func() tcpip.Error{
		func() tcpip.Error { return l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &send) },
		func() tcpip.Error { return l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &receive) },
		func() tcpip.Error { return l.stack.CreateNIC(nic, &link{l.endpoint, l}) },
		func() tcpip.Error { return l.stack.SetPromiscuousMode(nic, true) },
		func() tcpip.Error { return l.stack.SetSpoofing(nic, true) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("make a network stack: %s", err)
		}
	}
	l.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	connections := tcp.NewForwarder(l.stack, bufferMost, maxPending, func(r *tcp.ForwarderRequest) { l.forwardTCP(ctx, r) })
	l.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, connections.HandlePacket)
	flows := udp.NewForwarder(l.stack, func(r *udp.ForwarderRequest) bool { return l.forwardUDP(ctx, r) })
	l.stack.SetTransportProtocolHandler(udp.ProtocolNumber, flows.HandlePacket)
	return nil
}

// begin says whether more work may start. What begins is waited for, until it calls l.work.Done.
func (l *Link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.work.Add(1)
	}
	return !l.closed
}

// Close ends all connections and flows, and the device.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.device.Close()
	ended := make(chan struct{})
	go func() {
		l.work.Wait()
		close(ended)
	}()
	l.abort(ended)
	l.stack.Close()
	l.stack.RemoveNIC(nic) // closes the endpoint
}

// abort gives up the sandbox's side of all connections until no more work goes on. A handshake knows no context, and one may begin while
// the others are given up. The stack must not be closed before: it waits for such a handshake without end.
func (l *Link) abort(ended <-chan struct{}) {
	again := time.NewTicker(abortEvery)
	defer again.Stop()
	for {
		for _, e := range l.stack.RegisteredEndpoints() {
			e.Abort()
		}
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}

// take counts a flow, unless there are too many. give is its end.
func (l *Link) take() bool {
	if !l.own.take() {
		return false
	}
	if !l.shared.take() {
		l.own.give()
		return false
	}
	return true
}

func (l *Link) give() {
	l.own.give()
	l.shared.give()
}

// destination is whom the sandbox speaks to. // stack.TransportEndpointID: local is the stack's own side
func destination(id stack.TransportEndpointID) netip.AddrPort {
	a, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(a, id.LocalPort)
}
