package runnertest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

func (s *suite) network(t *testing.T) {
	r := s.runner(t)
	for _, network := range []string{"none", "host"} {
		t.Run(network, func(t *testing.T) {
			t.Run("listener", func(t *testing.T) {
				spec := s.spec(t, "dial", runner.ListenAddr)
				spec.Network, spec.Listen = network, 9001
				b := start(t, r, spec)
				answer(t, b.Listener())
				if e := b.end(); e.Code != 0 || b.out.String() != "hello yourself" {
					t.Errorf("exit %+v, stdout %q, stderr %q; want code 0, hello yourself", e, b.out.String(), b.err.String())
				}
				if _, err := b.Listener().Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept after Done = %v, want net.ErrClosed", err)
				}
			})
			t.Run("no listener", func(t *testing.T) {
				spec := s.spec(t, "exit", "0")
				spec.Network = network
				if l := start(t, r, spec).Listener(); l != nil {
					t.Errorf("Listener = %v, want nil", l)
				}
			})
			t.Run("dial", func(t *testing.T) {
				spec := s.spec(t, "serve", runner.PortNumber)
				spec.Network, spec.Port = network, 8080
				b := start(t, r, spec)
				if got := served(t, b); got != "served\n" {
					t.Errorf("dialled and read %q, want served", got)
				}
				b.Stop(0)
				if c, err := b.Dial(t.Context()); err == nil {
					c.Close()
					t.Error("Dial after Done succeeded")
				}
			})
			if network == "none" {
				t.Run("dial a port below 1024", func(t *testing.T) {
					spec := s.spec(t, "serve", runner.PortNumber)
					spec.Network, spec.Port = network, 80
					if got := served(t, start(t, r, spec)); got != "served\n" {
						t.Errorf("dialled and read %q, want served", got)
					}
				})
			}
			t.Run("dial where nothing listens", func(t *testing.T) {
				spec := s.spec(t, "sleep")
				spec.Network, spec.Port = network, 8080
				b := start(t, r, spec)
				if _, err := b.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("Dial = %v, want ECONNREFUSED", err)
				}
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := b.Dial(ended); !errors.Is(err, context.Canceled) {
					t.Errorf("Dial with an ended context = %v, want context.Canceled", err)
				}
			})
		})
	}
}

// answer takes one connection and answers its hello.
func answer(t *testing.T, l net.Listener) {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || line != "hello\n" {
		t.Fatalf("read %q, %v; want hello", line, err)
	}
	if _, err := io.WriteString(c, "hello yourself"); err != nil {
		t.Fatal(err)
	}
}

// served dials until something listens, and reads all.
func served(t *testing.T, b *box) string {
	t.Helper()
	var c net.Conn
	eventually(t, "the function listens", func() bool {
		var err error
		c, err = b.Dial(t.Context())
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("Dial = %v, want a connection or ECONNREFUSED; stderr %q", err, b.err.tail())
		}
		return err == nil
	})
	defer c.Close()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}
