package runnertest

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// secrets tests that the command gets its secrets as they are, and that they are nowhere else on the machine.
func (s *suite) secrets(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	r := s.runnerAt(t, state)
	mark := rand.Text() // that is nowhere by chance
	variable := mark + runner.PortNumber
	given := &runner.Secrets{Env: []string{"PASSWORD=" + variable}}

	t.Run("variable", func(t *testing.T) {
		spec := s.spec(t, "env")
		spec.Port, spec.Secrets = 8080, given
		if got := s.run(t, r, spec); strings.Count(got, "PASSWORD=") != 1 || !strings.Contains(got, "PASSWORD="+variable+"\n") {
			t.Errorf("environment %q, want the secret as it was given", got)
		}
	})
	t.Run("nowhere else", func(t *testing.T) {
		spec := s.spec(t, "stubborn")
		spec.Secrets = given
		b := start(t, r, spec)
		b.prints("ready")
		if found := search(t, state, mark); found != nil {
			t.Errorf("in the state directory the secret stands in %v", found)
		}
		for _, file := range commandLines(t) {
			text, err := os.ReadFile(file)
			if err == nil && strings.Contains(string(text), mark) {
				t.Errorf("the secret stands in %s", file)
			}
		}
	})
	if !s.ability.Isolated {
		t.Run("files are refused", func(t *testing.T) {
			spec := s.spec(t, "env")
			spec.Secrets = &runner.Secrets{Files: []runner.SecretFile{{Name: "a", Text: []byte("a\x00\n" + mark + runner.PortNumber)}}}
			_, err := r.Start(t.Context(), spec)
			if fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" || strings.Contains(err.Error(), mark) {
				t.Errorf("Start = %v, want an Unavailable fault with a hint", err)
			}
		})
		return
	}
	t.Run("files", func(t *testing.T) { s.secretFiles(t, r, state, mark) })
}

func (s *suite) secretFiles(t *testing.T, r runner.Runner, state, mark string) {
	files := []runner.SecretFile{
		{Name: "text", Text: []byte("a\x00\n" + mark + runner.PortNumber)}, {Name: "empty"}, {Name: "large", Text: []byte(strings.Repeat("x", 64<<10))}, {Name: "TLS_1.pem", Text: []byte("pem")},
	}
	specs := map[string]func(args ...string) runner.Spec{
		"scratch": func(args ...string) runner.Spec { return s.spec(t, args...) },
		"host": func(args ...string) runner.Spec {
			spec := s.spec(t, args...)
			spec.Base = "host"
			return spec
		},
	}
	if s.ability.Images {
		specs["image"] = func(args ...string) runner.Spec {
			spec := s.imageSpec(t, args...)
			spec.Root = append(spec.Root, layer(t, map[string]string{"run/lock": "x", "run/secrets/text": "of the image", "run/secrets/other": "of the image"}))
			return spec
		}
		specs["image of user 0"] = func(args ...string) runner.Spec {
			spec := s.imageSpec(t, args...)
			spec.User = &runner.User{}
			return spec
		}
		specs["image of another user"] = func(args ...string) runner.Spec {
			spec := s.imageSpec(t, args...)
			spec.User = &runner.User{UID: 33, GID: 44}
			return spec
		}
	}
	for name, make := range specs {
		t.Run(name, func(t *testing.T) {
			spec := func(args ...string) runner.Spec {
				sp := make(args...)
				sp.Secrets = &runner.Secrets{Files: files}
				return sp
			}
			for _, f := range files {
				if got := s.run(t, r, spec("read", "/run/secrets/"+f.Name)); got != string(f.Text) {
					t.Errorf("%s holds %d bytes, want the %d given", f.Name, len(got), len(f.Text))
				}
			}
			if got, want := s.run(t, r, spec("list", "/run/secrets")), "/run/secrets TLS_1.pem empty large text\n"; got != want {
				t.Errorf("list = %q, want %q", got, want)
			}
			owner := "1000 1000"
			if u := spec().User; u != nil {
				owner = itoa(int(u.UID)) + " " + itoa(int(u.GID))
			}
			if got, want := s.run(t, r, spec("stat", "/run/secrets/text")), "0400 "+owner; got != want {
				t.Errorf("stat = %q, want %q", got, want)
			}
			for _, file := range []string{"/run/secrets/text", "/run/secrets/new", "/run/new"} {
				if e := start(t, r, spec("write", file)).end(); e.Code != 1 {
					t.Errorf("write of %s: exit %+v, want code 1", file, e)
				}
			}
		})
	}
	if found := search(t, state, mark); found != nil {
		t.Errorf("in the state directory the secret stands in %v", found)
	}
}

// search finds the files below a directory that hold a text.
func search(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // removed in the meantime, or nothing that can be read
		}
		content, _ := os.ReadFile(path)
		if strings.Contains(string(content), text) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// commandLines are what all users can see of processes, and what this one can see of its own: their environment, but for that of the
// command itself.
func commandLines(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		line, _ := os.ReadFile(file)
		if !strings.HasPrefix(string(line), "./fn\x00") {
			all = append(all, filepath.Join(filepath.Dir(file), "environ"))
		}
	}
	return all
}
