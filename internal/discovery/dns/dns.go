// Package dns answers for services in DNS, by UDP and TCP: A, AAAA and SRV records of their healthy instances, below the zone dalamb. It answers from what
// discovery knows, asks nobody else, and refuses all other zones.
package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	// tcpIdle is how long a connection waits for a query, and an answer for being taken. RFC 7766, section 6.2.3
	tcpIdle = 10 * time.Second
	// mostConns are served at a time; others wait to be accepted.
	mostConns = 128
	// pause is how long nothing is taken after an error.
	pause = 100 * time.Millisecond
)

// Server answers on one address. Listen makes one.
type Server struct {
	udp    net.PacketConn
	tcp    net.Listener
	view   func() *discovery.View
	logger *slog.Logger
}

// Listen takes an address, of both protocols; port 0 takes a free one. Serve answers there.
func Listen(address string, view func() *discovery.View, logger *slog.Logger) (*Server, error) {
	refused := func(err error) error {
		return fault.New(fault.Unavailable, "the DNS listener cannot have %s: %w", address, err).
			WithHint("choose another address with --dns HOST:PORT, or stop who has this one; ports below 1024 are root's")
	}
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, refused(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, refused(errors.Join(err, tcp.Close()))
	}
	return &Server{udp: udp, tcp: tcp, view: view, logger: logger}, nil
}

// Address is where it answers: host:port.
func (s *Server) Address() string { return s.tcp.Addr().String() }

// Close frees the address. It ends Serve.
func (s *Server) Close() error { return errors.Join(s.udp.Close(), s.tcp.Close()) }

// Serve answers until ctx is done; the address is free then.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if err := s.Close(); err != nil {
			s.logger.Warn("close the DNS listener", "err", err)
		}
	})
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	failed := make(chan error, 2)
	for _, serve := range []func(context.Context) error{s.datagrams, s.connections} {
		work.Go(func() {
			failed <- serve(ctx)
			cancel()
		})
	}
	err := <-failed
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serve DNS: %w", err)
}

// again rests after an error that may pass, such as too many open files: the node shall not end for it.
func (s *Server) again(ctx context.Context, err error) error {
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	s.logger.Warn("take a DNS query", "err", err)
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return net.ErrClosed
	}
}

// datagrams answers by UDP: from memory, so one after the other.
func (s *Server) datagrams(ctx context.Context) error {
	b := make([]byte, mostTCP)
	for {
		n, from, err := s.udp.ReadFrom(b)
		if err != nil {
			if err = s.again(ctx, err); err != nil {
				return err
			}
			continue
		}
		if reply := answer(s.view(), b[:n], plainUDP); reply != nil {
			_, _ = s.udp.WriteTo(reply, from) // who is gone needs none
		}
	}
}

func (s *Server) connections(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	room := make(chan struct{}, mostConns)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return net.ErrClosed
		}
		c, err := s.tcp.Accept()
		if err != nil {
			<-room
			if err = s.again(ctx, err); err != nil {
				return err
			}
			continue
		}
		work.Go(func() {
			defer func() { <-room }()
			s.connection(ctx, c)
		})
	}
}

// connection answers one query after the other. RFC 1035, section 4.2.2
func (s *Server) connection(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	b := make([]byte, mostTCP)
	for {
		if err := c.SetDeadline(time.Now().Add(tcpIdle)); err != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := b[:binary.BigEndian.Uint16(size[:])]
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply := answer(s.view(), query, mostTCP)
		if reply == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}
