package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/dalamb/dalamb/internal/need/child"
)

// started is what Kafka logs once it takes requests.
const started = "Kafka Server started"

var errNotRunning = errors.New("the broker does not run")

// process is one broker.
type process struct {
	number int // from 1
	dir    string
	ports  []int // of each listener, then of the controller

	mu    sync.Mutex
	child *child.Child // nil = it was never started
}

func (p *process) data() string       { return filepath.Join(p.dir, "data") }
func (p *process) properties() string { return filepath.Join(p.dir, "server.properties") }
func (p *process) output() string     { return filepath.Join(p.dir, "out") }

func (p *process) address(l Listener) string {
	return "127.0.0.1:" + strconv.Itoa(p.ports[l])
}

// start runs command as the broker and waits until it serves.
func (p *process) start(ctx context.Context, command []string) error {
	if err := p.launch(command); err != nil {
		return err
	}
	if err := p.ready(ctx); err != nil {
		return errors.Join(err, p.end(syscall.SIGKILL))
	}
	return nil
}

func (p *process) launch(command []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && !p.child.Ended() {
		return fmt.Errorf("broker %d runs already", p.number)
	}
	c, err := child.Start(filepath.Dir(p.dir), p.output(), command)
	if err != nil {
		return fmt.Errorf("start broker %d: %w", p.number, err)
	}
	p.child = c
	return nil
}

// running is the broker's program. The error is errNotRunning when there is none.
func (p *process) running() (*child.Child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.child.Ended() {
		return nil, fmt.Errorf("broker %d: %w", p.number, errNotRunning)
	}
	return p.child, nil
}

// ready waits until the broker says that it has started.
func (p *process) ready(ctx context.Context) error {
	p.mu.Lock()
	done := p.child.Done()
	p.mu.Unlock()
	tick := newTicker()
	defer tick.Stop()
	for {
		out, err := os.ReadFile(p.output())
		if err == nil && bytes.Contains(out, []byte(started)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-done:
			return fmt.Errorf("broker %d ended before it served:\n%s", p.number, tail(out))
		case <-ctx.Done():
			return fmt.Errorf("wait for broker %d: %w; its last words:\n%s", p.number, ctx.Err(), tail(out))
		}
	}
}

// tail is the end of a broker's output.
func tail(out []byte) []byte {
	const most = 4096
	return out[max(0, len(out)-most):]
}

func (p *process) signal(s syscall.Signal) error {
	c, err := p.running()
	if err != nil {
		return err
	}
	return c.Signal(s)
}

// end sends a signal and waits until the broker is gone.
func (p *process) end(s syscall.Signal) error {
	c, err := p.running()
	if err != nil {
		return err
	}
	return c.End(s)
}
