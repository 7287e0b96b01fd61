package native

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

func errEnded(id string) error { return fault.New(fault.Unavailable, "sandbox %s has ended", id) }

// Dial implements runner.Sandbox.
func (sb *sandbox) Dial(ctx context.Context) (net.Conn, error) {
	if !ownNet(&sb.spec) {
		return sb.DialPort(ctx, sb.port)
	}
	return sb.DialPort(ctx, sb.spec.Port)
}

// DialPort implements runner.PortDialer: the init connects where only it can, and hands the connection out.
func (sb *sandbox) DialPort(ctx context.Context, port int) (net.Conn, error) {
	if !ownNet(&sb.spec) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer := make(chan dialled, 1)
	sb.mu.Lock()
	if sb.ended {
		sb.mu.Unlock()
		return nil, errEnded(sb.spec.ID)
	}
	sb.lastID++
	id := sb.lastID
	sb.dials[id] = answer
	sb.mu.Unlock()
	if err := sb.nest.send(inside.Dial, new(inside.Packer).Number(id).Number(int64(port))); err != nil {
		sb.forget(id)
		return nil, fmt.Errorf("dial port %d of sandbox %s: %w", port, sb.spec.ID, err)
	}
	select {
	case <-ctx.Done():
		sb.forget(id)
		select {
		case d := <-answer: // it came just now
			d.close()
		default:
		}
		return nil, ctx.Err()
	case d := <-answer:
		return d.conn(sb.spec.ID, port)
	}
}

// hand gives the init's answer to who waits for it, if somebody still does.
func (sb *sandbox) hand(id int64, d dialled) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if c, waits := sb.dials[id]; waits {
		delete(sb.dials, id)
		c <- d // has room: it is the only one
		return
	}
	d.close()
}

func (sb *sandbox) forget(id int64) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	delete(sb.dials, id)
}

func (d *dialled) close() {
	if d.err == nil && d.fd >= 0 {
		_ = syscall.Close(d.fd) // nobody wants it
	}
}

func (d *dialled) conn(id string, port int) (net.Conn, error) {
	if d.err != nil {
		return nil, fmt.Errorf("dial port %d of sandbox %s: %w", port, id, d.err)
	}
	f := os.NewFile(uintptr(d.fd), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("take connection from sandbox %s: %w", id, err)
	}
	return c, nil
}
