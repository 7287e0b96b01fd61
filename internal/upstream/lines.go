package upstream

import (
	"context"
	"net"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
)

// lines are the connections of a node to servers, those that are being made, and how many requests are under way.
type lines struct {
	over chan struct{} // closed when none is made any more

	mu     sync.Mutex
	open   map[*held]struct{}
	active int
	idle   chan struct{} // closed when there is nothing under way; nil = nobody waits for it
}

// held is what ends with the node.
type held struct{ end func() }

func newLines() *lines { return &lines{over: make(chan struct{}), open: map[*held]struct{}{}} }

// hold has end called when the node stops, unless release was called before. It is an error that it has stopped.
func (l *lines) hold(end func()) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended() {
		return nil, fault.New(fault.Unavailable, "the node is stopping")
	}
	h := &held{end}
	l.open[h] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, h)
	}, nil
}

func (l *lines) ended() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// begin counts a request until it is over.
func (l *lines) begin() (over func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.active--; l.active == 0 && l.idle != nil {
			close(l.idle)
			l.idle = nil
		}
	}
}

// Drain waits until no request is under way, or ctx is done. It is called once.
func (u *Upstreams) Drain(ctx context.Context) {
	idle := make(chan struct{})
	u.lines.mu.Lock()
	if u.lines.active == 0 {
		close(idle)
	} else {
		u.lines.idle = idle
	}
	u.lines.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// Close ends all connections to servers, and with them what is under way; no more are made. It is called once.
func (u *Upstreams) Close() {
	u.lines.mu.Lock()
	close(u.lines.over)
	open := u.lines.open
	u.lines.open = map[*held]struct{}{}
	u.lines.mu.Unlock()
	for h := range open {
		h.end()
	}
}

// line is a connection to a server. It has all that a TCP connection can: entry asks whether it is quiet, and ends one way of it.
type line struct {
	*net.TCPConn
	release func()
}

func (l *line) Close() error {
	l.release()
	return l.TCPConn.Close()
}

// dial connects as long as the node does not stop. cancel is that of ctx.
func (l *lines) dial(ctx context.Context, cancel context.CancelFunc, d *net.Dialer, address string) (*line, error) {
	release, err := l.hold(cancel)
	if err != nil {
		return nil, err
	}
	nc, err := d.DialContext(ctx, "tcp", address)
	release()
	if err != nil {
		return nil, err
	}
	c := &line{TCPConn: nc.(*net.TCPConn)} // of tcp it is
	if c.release, err = l.hold(func() { c.TCPConn.Close() }); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}
