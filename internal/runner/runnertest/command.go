package runnertest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

func (s *suite) command(t *testing.T) {
	r := s.runner(t)

	t.Run("exit code and streams", func(t *testing.T) {
		for _, code := range []int{0, 1, 100, 255} {
			b := start(t, r, s.spec(t, "exit", itoa(code)))
			if e := b.end(); e != (runner.Exit{Code: code}) {
				t.Errorf("Exit = %+v, want code %d alone", e, code)
			}
			if out, err := b.out.String(), b.err.String(); out != "out\n" || err != "err\n" {
				t.Errorf("stdout %q, stderr %q; want out and err", out, err)
			}
		}
	})

	t.Run("arguments and places", func(t *testing.T) {
		spec := s.spec(t, "args", "", "a b", "$HOME", runner.TaskRoot)
		task := s.run(t, r, s.spec(t, "pwd"))
		if got, want := s.run(t, r, spec), "./fn|args||a b|$HOME|"+task; got != want {
			t.Errorf("arguments = %q, want %q", got, want)
		}
	})

	t.Run("environment is the one given", func(t *testing.T) {
		spec := s.spec(t, "env")
		spec.Env = append(spec.Env, "EMPTY=", "SPACE=a b", "ROOT="+runner.TaskRoot+"/x")
		task := s.run(t, r, s.spec(t, "pwd"))
		got := strings.Split(strings.TrimSpace(s.run(t, r, spec)), "\n")
		for _, want := range []string{"EMPTY=", "SPACE=a b", "ROOT=" + task + "/x", "PATH=" + runner.DefaultPath} {
			if !slices.Contains(got, want) {
				t.Errorf("environment %q lacks %q", got, want)
			}
		}
		for _, e := range got {
			name, _, _ := strings.Cut(e, "=")
			if !slices.Contains([]string{"MARK", "EMPTY", "SPACE", "ROOT", "PATH", "TMPDIR", "DALAMB_SANDBOX"}, name) {
				t.Errorf("environment has %q, which nobody gave", e)
			}
		}
		spec = s.spec(t, "env")
		spec.Env = append(spec.Env, "PATH=/mine")
		if got := s.run(t, r, spec); strings.Count(got, "PATH=") != 1 || !strings.Contains(got, "PATH=/mine\n") {
			t.Errorf("environment %q, want PATH=/mine as given", got)
		}
	})

	t.Run("stdin", func(t *testing.T) {
		for _, in := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 40_000)} {
			spec := s.spec(t, "cat")
			spec.Stdin = in
			if got := s.run(t, r, spec); got != string(in) {
				t.Errorf("cat gave %d bytes of %d", len(got), len(in))
			}
		}
	})

	t.Run("is fed while it runs", func(t *testing.T) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer write.Close()
		got := make(chan string)
		spec := s.spec(t, "cat")
		spec.Feed, spec.Stdout = read, func(p []byte) { got <- string(p) }
		b, err := r.Start(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"one\n", "two\n"} {
			if _, err := write.WriteString(line); err != nil {
				t.Fatal(err)
			}
			if back := <-got; back != line {
				t.Errorf("cat gave %q of %q", back, line)
			}
		}
		write.Close() // the command has the only other end: this is its end of file
		<-b.Done()
		if e := b.Exit(); e.Code != 0 {
			t.Errorf("Exit = %+v, want code 0", e)
		}
	})

	t.Run("that cannot be run", func(t *testing.T) {
		for _, c := range []struct {
			command, want string
		}{
			{"./none", "no such file or directory"},
			{"none", "no such file or directory"},
			{"/none/none", "no such file or directory"},
			{"./text", "permission denied"},
			{"./garbage", "exec format error"},
			{"./", "permission denied"},
		} {
			spec := s.spec(t)
			spec.Command = []string{c.command}
			b := start(t, r, spec)
			if e := b.end(); !strings.Contains(e.Start, c.want) || !strings.Contains(e.Start, c.command) || e.Code != -1 {
				t.Errorf("command %q: exit %+v, want Start with the command and %q, and code -1", c.command, e, c.want)
			}
		}
	})

	t.Run("is looked for in PATH", func(t *testing.T) {
		spec := s.spec(t, "exit", "3")
		spec.Command[0] = "fn"
		spec.Env = append(spec.Env, "PATH=/none:"+runner.TaskRoot)
		if e := start(t, r, spec).end(); e.Code != 3 {
			t.Errorf("Exit = %+v, want code 3 of fn found in PATH", e)
		}
	})

	t.Run("host base has a shell", func(t *testing.T) {
		spec := s.spec(t)
		spec.Base = "host"
		spec.Command = []string{"sh", "-c", "cat; echo $0 $1; exit 4", "zero", "one"}
		spec.Stdin = []byte("in ")
		b := start(t, r, spec)
		if e := b.end(); e.Code != 4 || b.out.String() != "in zero one\n" {
			t.Errorf("sh: exit %+v, stdout %q, stderr %q; want code 4, in zero one", e, b.out.String(), b.err.String())
		}
	})

	t.Run("signals do what they do by default", func(t *testing.T) {
		for _, sig := range []string{"TERM", "INT", "QUIT", "USR1", "PIPE", "ABRT", "SEGV"} {
			spec := s.spec(t)
			spec.Base, spec.Command = "host", []string{"sh", "-c", "kill -" + sig + " $$; sleep 60"}
			b := start(t, r, spec)
			if e := b.end(); e != (runner.Exit{Code: -1, Signal: "SIG" + sig}) {
				t.Errorf("kill -%s of itself: exit %+v, want that signal", sig, e)
			}
		}
	})

	t.Run("spec that makes no sense", func(t *testing.T) {
		for name, spoil := range map[string]func(*runner.Spec){
			"no command": func(s *runner.Spec) { s.Command = nil },
			"id":         func(s *runner.Spec) { s.ID = "../x" },
			"base":       func(s *runner.Spec) { s.Base = "moon" },
			"network":    func(s *runner.Spec) { s.Network = "most" },
		} {
			spec := s.spec(t, "exit", "0")
			spoil(&spec)
			if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: Start = %v, want an Invalid fault", name, err)
			}
		}
	})

	t.Run("code behind a symbolic link", func(t *testing.T) {
		spec := s.spec(t, "exit", "0")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(spec.CodeDir, link); err != nil {
			t.Fatal(err)
		}
		spec.CodeDir = link
		s.run(t, r, spec)
	})

	t.Run("code that is not there", func(t *testing.T) {
		spec := s.spec(t, "exit", "0")
		spec.CodeDir = "/none/of/this"
		if _, err := r.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), spec.CodeDir) {
			t.Errorf("Start = %v, want an error that names %s", err, spec.CodeDir)
		}
	})
}
