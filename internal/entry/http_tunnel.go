package entry

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// tunnelIdle is how long a tunnel lives on which nothing moves. AWS API Gateway quotas, WebSocket idle connection timeout.
const tunnelIdle = 10 * time.Minute

// tunnelLinger is how long nothing may move once one side has ended: who is left has its answer, and may have nothing more to say.
const tunnelLinger = 10 * time.Second

// tunnel carries bytes both ways between a client and the function, after a 101. RFC 9110, section 7.8. It lasts until either side has
// ended it or nothing moves; the function's time-out bounds the way to the 101 alone.
func tunnel(to function.Upgrader, a *answering, wire *httpWire) (*function.Result, error) {
	defer a.end(false)
	asked := a.Request.Header.Get("Upgrade")
	if got := a.Header.Get("Upgrade"); asked == "" || !strings.EqualFold(asked, got) {
		return badAnswer("Function.InvalidResponse", "the function switched to protocol %q, and the client had asked for %q", got, asked), nil
	}
	r := &function.Result{Outcome: function.Succeeded, Status: a.StatusCode, Header: a.Header}
	client, err := to.Upgrade(a.Header)
	if err != nil {
		r.Abandoned = true
		return r, nil
	}
	defer client.Close()
	t := pipes{idle: tunnelIdle}
	t.moved.Store(time.Now().UnixNano())
	var back sync.WaitGroup
	back.Go(func() { t.carry(wire.nc, client, client) })
	r.Streamed = t.carry(client, wire.nc, wire.br)
	back.Wait()
	return r, nil
}

// pipes are the two ways of a tunnel.
type pipes struct {
	idle  time.Duration
	moved atomic.Int64 // when something did, in nanoseconds
	half  atomic.Bool  // one side has ended
}

// await gives a connection until when something has to come from it. Whether a side has ended is asked again afterwards: who ends
// says so first, and wakes the other then.
func (t *pipes) await(from net.Conn) {
	for half := t.half.Load(); ; half = true {
		_ = from.SetReadDeadline(time.Unix(0, t.moved.Load()).Add(t.patience())) // of a connection that is closed nothing is read either
		if half || !t.half.Load() {
			return
		}
	}
}

func (t *pipes) patience() time.Duration {
	if t.half.Load() {
		return min(t.idle, tunnelLinger)
	}
	return t.idle
}

// carry copies from one side to the other until its end, of which the other side is told, and which it does not outlive for long. An error ends both ways. in reads from.
func (t *pipes) carry(to, from net.Conn, in io.Reader) (n int64) {
	buf := make([]byte, streamChunk)
	for {
		t.await(from)
		got, err := in.Read(buf)
		if got > 0 {
			t.moved.Store(time.Now().UnixNano())
			_ = to.SetWriteDeadline(time.Now().Add(t.idle))
			written, unsent := to.Write(buf[:got])
			n += int64(written)
			if unsent != nil {
				to.Close()
				from.Close()
				return n
			}
		}
		switch late, _ := err.(net.Error); {
		case err == nil:
		case late != nil && late.Timeout() && time.Since(time.Unix(0, t.moved.Load())) < t.patience(): // the other way is in use
		case err == io.EOF && closeWrite(to) == nil:
			t.moved.Store(time.Now().UnixNano())
			t.half.Store(true)
			t.await(to)
			return n
		default:
			to.Close()
			from.Close()
			return n
		}
	}
}

// closeWrite says to one side that the other one has ended.
func closeWrite(nc net.Conn) error {
	if c, ok := nc.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return http.ErrNotSupported
}
