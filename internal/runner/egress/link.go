package egress

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// queue of the embedded endpoint, which nothing is put into.
const queue = 1

// link is the stack's way to the device: what the stack sends is written at once.
type link struct {
	*channel.Endpoint
	to *Link
}

// WritePackets implements stack.LinkEndpoint.
func (k *link) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, p := range packets.AsSlice() {
		v := p.ToView()
		_, err := k.to.device.Write(v.AsSlice())
		v.Release()
		if err != nil {
			return n, &tcpip.ErrClosedForSend{}
		}
		n++
	}
	return n, nil
}

// receive gives the stack what the sandbox sends, until the device is closed.
func (l *Link) receive() {
	b := make([]byte, MTU)
	for {
		n, err := l.device.Read(b)
		if err != nil {
			return
		}
		if !passes(b[:n]) {
			continue
		}
		p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b[:n])})
		l.endpoint.InjectInbound(ipv4.ProtocolNumber, p)
		p.DecRef()
	}
}

// passes says whether a packet is one that the stack shall see: whole, of TCP or UDP, in IPv4, from the sandbox's own address. All else has
// no way out: IPv6, ICMP, fragments (nothing that fits the device is one), forged senders.
func passes(packet []byte) bool {
	if len(packet) < header.IPv4MinimumSize {
		return false
	}
	h := header.IPv4(packet)
	switch {
	case !h.IsValid(len(packet)), h.SourceAddress() != tcpip.AddrFrom4(inside.As4()):
		return false
	case h.More(), h.FragmentOffset() != 0, len(h.Options()) > 0:
		return false
	}
	t := h.TransportProtocol()
	return t == tcp.ProtocolNumber || t == udp.ProtocolNumber
}
