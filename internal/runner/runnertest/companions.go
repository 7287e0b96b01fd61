package runnertest

import (
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// companions is for runners that are Accompanied.
func (s *suite) companions(t *testing.T) {
	r := s.runner(t)

	t.Run("run before the command and with it, and end with it", func(t *testing.T) {
		spec := s.spec(t, "gentle")
		beside := newBuffer()
		begin := make(chan struct{})
		spec.Hold = begin
		spec.Companions = []runner.Companion{
			{Command: []string{"./fn", "stubborn"}, Stdout: beside.add},
			{Command: []string{"./fn", "env"}, Stdout: beside.add},
		}
		b := start(t, r, spec)
		deadline := time.After(patience)
		for !strings.Contains(beside.String(), "ready\n") || !strings.Contains(beside.String(), "MARK="+spec.ID) {
			select {
			case <-beside.more:
			case <-deadline:
				t.Fatalf("the companions printed %q", beside.String())
			}
		}
		if b.out.count() > 0 {
			t.Errorf("the command printed %q while it was held back", b.out.String())
		}
		close(begin)
		b.prints("ready")
		b.Stop(patience)
		if e := b.Exit(); e != (runner.Exit{Code: 7}) {
			t.Errorf("exit %+v, want that of the command", e)
		}
		if left := alive(t, spec); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	})

	t.Run("tell how they ended", func(t *testing.T) {
		spec := s.spec(t, "gentle")
		exits := make(chan runner.Exit, 2)
		never := make(chan struct{})
		spec.Hold = never
		spec.Companions = []runner.Companion{
			{Command: []string{"./fn", "exit", "5"}, Exited: func(e runner.Exit) { exits <- e }},
			{Command: []string{"./no-such-program"}, Exited: func(e runner.Exit) { exits <- e }},
		}
		b := start(t, r, spec)
		var code, missing bool
		for range 2 {
			select {
			case e := <-exits:
				code = code || e.Code == 5
				missing = missing || e.Start == "./no-such-program: no such file or directory"
			case <-time.After(patience):
				t.Fatal("nobody told of a companion's end")
			}
		}
		if !code || !missing {
			t.Errorf("exit code 5 told: %v, missing program told: %v", code, missing)
		}
		b.Stop(0)
		if e := b.Exit(); e.Signal != "SIGKILL" {
			t.Errorf("exit of a command that never began = %+v, want SIGKILL", e)
		}
	})

	t.Run("a command that cannot start after them", func(t *testing.T) {
		spec := s.spec(t)
		spec.Command = []string{"./no-such-program"}
		begin := make(chan struct{})
		close(begin)
		spec.Hold = begin
		spec.Companions = []runner.Companion{{Command: []string{"./fn", "stubborn"}}}
		if e := start(t, r, spec).end(); e.Start != "./no-such-program: no such file or directory" {
			t.Errorf("exit = %+v, want one that names the program", e)
		}
		if left := alive(t, spec); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	})
}
