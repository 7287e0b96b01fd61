package runnertest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

// races lets a directory that a sandbox is made of become a link to the host and a directory again, over and over, while sandboxes are started
// from it: between a look at a path and its use there is always a moment.
func (s *suite) races(t *testing.T, r runner.Runner, secret string) []Escape {
	t.Helper()
	starts := 20
	if s.ability.Kernel {
		starts = 6 // each takes some hundred milliseconds
	}
	tries := []struct {
		name string
		race func(*testing.T, runner.Runner, race)
	}{{"swap a directory of its code for a link to the host while it is started", s.raceCode}}
	if s.ability.Images {
		tries = append(tries, struct {
			name string
			race func(*testing.T, runner.Runner, race)
		}{"swap the directories of its image's layers that are mounted on for links to the host while it is started", s.raceLayers})
	}
	var all []Escape
	for _, try := range tries {
		t.Run(try.name, func(t *testing.T) {
			host := layer(t, map[string]string{"file": secret, "of-the-host": secret, "task/of-the-host": secret, "secrets/own": secret})
			before := contents(t, host)
			try.race(t, r, race{host: host, secret: secret, starts: starts})
			if after := contents(t, host); after != before {
				t.Errorf("the host's directory holds\n%s\nand held\n%s", after, before)
			}
			all = append(all, Escape{try.name, "it sees its own, or a link to nothing; nothing of the host is read or written"})
		})
	}
	return all
}

type race struct {
	host   string // the directory that the links lead to
	secret string // what its files hold
	starts int
}

// raceCode has a function read, as fast as it can, through a directory of its code that is swapped.
func (s *suite) raceCode(t *testing.T, r runner.Runner, with race) {
	code := filepath.Join(t.TempDir(), "code")
	if err := os.CopyFS(code, os.DirFS(s.code)); err != nil {
		t.Fatal(err)
	}
	swapped := filepath.Join(code, "swapped")
	if err := os.Mkdir(swapped, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(swapped, "file"), []byte("own"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := swap(t, with.host, swapped)
	for range with.starts {
		spec := s.spec(t, "again", "swapped/file", "2000")
		spec.CodeDir = code
		said := s.run(t, r, spec)
		if strings.Contains(said, with.secret) {
			t.Errorf("it read %q", said)
		}
	}
	if n := stop(); n < with.starts {
		t.Errorf("swapped %d times beside %d starts", n, with.starts)
	}
}

// raceLayers has the init mount on directories of a layer that are swapped. A start that fails for that is no harm.
func (s *suite) raceLayers(t *testing.T, r runner.Runner, with race) {
	spec := s.imageSpec(t)
	top := layer(t, map[string]string{"var/task/": "", "run/secrets/": "", "tmp/": "", "etc/": "", "opt/": ""})
	spec.Root, spec.CodeDir = append(spec.Root, top), s.code
	spec.Command = []string{"./fn", "list", "/etc", "/tmp", "/opt", "/run", "/run/secrets", "/var", "/var/task"}
	spec.Secrets = &runner.Secrets{Files: []runner.SecretFile{{Name: "own", Text: []byte("own")}}}
	var dirs []string
	for _, name := range []string{"var", "run", "tmp", "etc", "opt", "var/task", "run/secrets"} {
		dirs = append(dirs, filepath.Join(top, name))
	}
	stop := swap(t, with.host, dirs...)
	ran := 0
	for i := range with.starts {
		sp := spec
		sp.ID = fmt.Sprintf("%s-%d", spec.ID, i)
		out, errs := newBuffer(), newBuffer()
		sp.Stdout, sp.Stderr = out.add, errs.add
		sb, err := r.Start(t.Context(), sp)
		if err != nil {
			continue
		}
		<-sb.Done()
		said := out.String() + errs.String()
		if strings.Contains(said, "of-the-host") || strings.Contains(said, with.secret) {
			t.Errorf("it saw %q", said)
		}
		if strings.Contains(said, "/var/task fn") {
			ran++
		}
	}
	n := stop()
	t.Logf("%d of %d starts came to their command, beside %d swaps", ran, with.starts, n)
	if ran == 0 || n < with.starts {
		t.Errorf("of %d starts %d came to their command, beside %d swaps", with.starts, ran, n)
	}
}

// swap exchanges each directory with a link to another one, and back, until the function that it returns is called, which says how often. The
// end of the test calls it too.
func swap(t *testing.T, to string, dirs ...string) (stop func() int) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	end, n := make(chan struct{}), 0
	var swapping sync.WaitGroup
	swapping.Go(func() {
		if err := os.Symlink(to, link); err != nil {
			t.Errorf("make a link: %v", err)
			return
		}
		for ; ; n++ {
			dir := dirs[n%len(dirs)]
			for range 2 {
				if err := exchange(link, dir); err != nil {
					t.Errorf("swap %s: %v", dir, err)
					return
				}
			}
			select {
			case <-end:
				return
			default:
			}
		}
	})
	stop = sync.OnceValue(func() int {
		close(end)
		swapping.Wait()
		return n
	})
	t.Cleanup(func() { stop() })
	return stop
}

// contents describes all that is below a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var content []byte
		if e.Type().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		info, err := e.Info()
		if err == nil {
			fmt.Fprintf(&text, "%s %v %q\n", path, info.Mode(), content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}
