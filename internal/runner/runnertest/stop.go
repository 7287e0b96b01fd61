package runnertest

import (
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

func (s *suite) stop(t *testing.T) {
	r := s.runner(t)

	t.Run("gentle", func(t *testing.T) {
		b := start(t, r, s.spec(t, "gentle"))
		b.prints("ready")
		b.Stop(patience)
		if e := b.Exit(); e != (runner.Exit{Code: 7}) || b.out.String() != "ready\nbye\n" {
			t.Errorf("exit %+v, stdout %q; want code 7, ready and bye", e, b.out.String())
		}
	})

	t.Run("by a signal of its own", func(t *testing.T) {
		spec := s.spec(t, "gentle", "USR1")
		spec.StopSignal = "SIGUSR1"
		b := start(t, r, spec)
		b.prints("ready")
		b.Stop(patience)
		if e := b.Exit(); e != (runner.Exit{Code: 7}) || b.out.String() != "ready\nbye\n" {
			t.Errorf("exit %+v, stdout %q; want code 7, ready and bye", e, b.out.String())
		}
	})

	t.Run("that is ignored", func(t *testing.T) {
		b := start(t, r, s.spec(t, "stubborn"))
		b.prints("ready")
		const grace = 200 * time.Millisecond
		begin := time.Now()
		b.Stop(grace)
		if d := time.Since(begin); d < grace {
			t.Errorf("Stop took %v, want the grace of %v at least", d, grace)
		}
		if e := b.Exit(); e != (runner.Exit{Code: -1, Signal: "SIGKILL"}) {
			t.Errorf("Exit = %+v, want SIGKILL", e)
		}
	})

	t.Run("at once, by many, the tree too", func(t *testing.T) {
		b := start(t, r, s.spec(t, "escape"))
		b.prints("ready")
		eventually(t, "two processes live", func() bool { return len(alive(t, b.spec)) >= 2 })
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { b.Stop(0) })
		}
		all.Wait()
		if e := b.Exit(); e != (runner.Exit{Code: -1, Signal: "SIGKILL"}) {
			t.Errorf("Exit = %+v, want SIGKILL", e)
		}
		if left := alive(t, b.spec); left != nil {
			t.Errorf("processes %v live after Stop", left)
		}
		b.Stop(time.Hour)
	})

	t.Run("of what ended by itself", func(t *testing.T) {
		b := start(t, r, s.spec(t, "exit", "5"))
		b.end()
		b.Stop(time.Hour)
		if e := b.Exit(); e != (runner.Exit{Code: 5}) {
			t.Errorf("Exit = %+v, want code 5", e)
		}
	})
}
