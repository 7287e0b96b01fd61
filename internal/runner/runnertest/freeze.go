package runnertest

import (
	"bufio"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// freezes says whether sandboxes of this driver can be frozen on this machine.
func (s *suite) freezes(t *testing.T) bool {
	b := start(t, s.runner(t), s.spec(t, "sleep"))
	f, can := b.Sandbox.(runner.Freezer)
	return can && !errors.Is(f.Freeze(true), errors.ErrUnsupported)
}

func (b *box) freeze(on bool) {
	b.t.Helper()
	if err := b.Sandbox.(runner.Freezer).Freeze(on); err != nil {
		b.t.Fatalf("Freeze(%v): %v", on, err)
	}
}

// still is how long what is frozen is watched.
const still = 50 * time.Millisecond

// dials dials the function, and gives the connection when it has come; nil when it cannot be had.
func (b *box) dials() <-chan net.Conn {
	dialled := make(chan net.Conn, 1)
	go func() {
		c, err := b.Dial(b.t.Context())
		if err != nil {
			b.t.Errorf("Dial of a frozen function: %v", err)
		}
		dialled <- c
	}()
	return dialled
}

// freeze tests runner.Freezer.
func (s *suite) freeze(t *testing.T) {
	r := s.runner(t)

	t.Run("again and again", func(t *testing.T) {
		spec := s.spec(t, "serve", runner.PortNumber)
		spec.Port = 8080
		b := start(t, r, spec)
		served(t, b)
		for range 3 {
			b.freeze(true)
			b.freeze(true)
			dialled := b.dials()
			if s.ability.Kernel {
				select {
				case <-dialled:
					t.Fatal("somebody answered in a frozen kernel")
				case <-time.After(still):
				}
				b.freeze(false)
			}
			c := <-dialled
			if c == nil {
				t.FailNow()
			}
			defer c.Close()
			line := bufio.NewReader(c)
			if !s.ability.Kernel {
				if err := c.SetReadDeadline(time.Now().Add(still)); err != nil {
					t.Fatal(err)
				}
				if got, err := line.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a frozen function said %q, %v; want nothing", got, err)
				}
			}
			b.freeze(false)
			b.freeze(false)
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if got, err := line.ReadString('\n'); got != "served\n" {
				t.Errorf("the function, thawed, said %q, %v; want served", got, err)
			}
		}
	})

	t.Run("gentle stop", func(t *testing.T) {
		b := start(t, r, s.spec(t, "gentle"))
		b.prints("ready")
		b.freeze(true)
		b.Stop(patience)
		if e := b.Exit(); e != (runner.Exit{Code: 7}) || b.out.String() != "ready\nbye\n" {
			t.Errorf("exit %+v, stdout %q; want code 7, ready and bye", e, b.out.String())
		}
		b.freeze(true)
	})

	t.Run("kill, the tree too", func(t *testing.T) {
		b := start(t, r, s.spec(t, "escape"))
		b.prints("ready")
		eventually(t, "two processes live", func() bool { return len(alive(t, b.spec)) >= 2 })
		b.freeze(true)
		b.Stop(0)
		if e := b.Exit(); e != (runner.Exit{Code: -1, Signal: "SIGKILL"}) {
			t.Errorf("Exit = %+v, want SIGKILL", e)
		}
		if left := alive(t, b.spec); left != nil {
			t.Errorf("processes %v live after Stop", left)
		}
	})

	t.Run("close", func(t *testing.T) {
		r := s.runner(t)
		b := start(t, r, s.spec(t, "escape"))
		b.prints("ready")
		b.freeze(true)
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if left := alive(t, b.spec); left != nil {
			t.Errorf("processes %v live after Close", left)
		}
	})
}
