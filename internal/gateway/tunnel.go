package gateway

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tunnelGrace is how long nothing may have moved in an upgraded connection for it to be ended when the node stops.
const tunnelGrace = 2 * time.Second

// tunnels are the connections of clients that functions have been given, for the day when the node stops.
type tunnels struct {
	mu     sync.Mutex
	ending bool
	open   map[*taken]struct{}
}

// add says whether there may be one more.
func (t *tunnels) add(c *taken) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ending {
		return false
	}
	if t.open == nil {
		t.open = make(map[*taken]struct{})
	}
	t.open[c] = struct{}{}
	return true
}

func (t *tunnels) remove(c *taken) {
	t.mu.Lock()
	delete(t.open, c)
	t.mu.Unlock()
}

// EndTunnels is called when the node stops. A WebSocket may live for days and say nothing, and the node does not wait for that: it ends the upgraded
// connections on which nothing moves, until there is none left.
func (g *Gateway) EndTunnels() { g.tunnels.end() }

func (t *tunnels) end() {
	tick := time.NewTicker(tunnelGrace / 8)
	defer tick.Stop()
	for {
		var quiet []*taken
		t.mu.Lock()
		t.ending = true
		for c := range t.open {
			if time.Since(time.Unix(0, c.moved.Load())) >= tunnelGrace {
				quiet = append(quiet, c)
			}
		}
		left := len(t.open) - len(quiet)
		t.mu.Unlock()
		for _, c := range quiet {
			c.Close()
		}
		if left == 0 {
			return
		}
		<-tick.C
	}
}

// taken is a connection of which some bytes may have been read already.
type taken struct {
	net.Conn
	first *bufio.Reader
	among *tunnels
	moved atomic.Int64 // when something did, in Unix nanoseconds
}

func (t *taken) touch(n int) {
	if n > 0 {
		t.moved.Store(time.Now().UnixNano())
	}
}

func (t *taken) Read(p []byte) (int, error) {
	n, err := t.first.Read(p)
	t.touch(n)
	return n, err
}

func (t *taken) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.touch(n)
	return n, err
}

func (t *taken) Close() error {
	t.among.remove(t)
	return t.Conn.Close()
}

// CloseWrite tells the client that nothing more will come.
func (t *taken) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return t.Close()
}
