package starter_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/starter"
)

func TestEveryFunctionIsWhole(t *testing.T) {
	for _, s := range starter.All() {
		t.Run(s.Language+" "+string(s.Entry), func(t *testing.T) {
			files, err := s.Files("hello-1")
			if err != nil {
				t.Fatal(err)
			}
			for path, text := range files {
				if strings.Contains(text, "{{") || strings.HasSuffix(path, ".tmpl") || path != filepath.ToSlash(filepath.Clean(path)) || !strings.HasSuffix(text, "\n") {
					t.Errorf("%s is not as a user is to find it:\n%s", path, text)
				}
			}
			m, err := function.ParseManifest("dalamb.yaml", []byte(files["dalamb.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Functions) != 1 || m.Functions[0].Spec.Name != "hello-1" || m.Functions[0].Spec.Entry.Type != s.Entry {
				t.Errorf("the manifest declares %+v", m.Functions)
			}
			for _, command := range []string{s.Test, "dalamb deploy ."} {
				if !strings.Contains(files["README.md"], command) {
					t.Errorf("the README says nothing of %q", command)
				}
			}
		})
	}
}

func TestEveryTemplateIsListed(t *testing.T) {
	entries, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	for _, s := range starter.All() {
		want = append(want, s.Language+"-"+string(s.Entry))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("templates has %v, All has %v", got, want)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		language, entry string
		want            string // the entry, or a part of the hint
	}{
		{"go", "", "stdio"},
		{"go", "lambda", "lambda"},
		{"shell", "http", "with shell: stdio"},
		{"pyhton", "", "did you mean python?"},
		{"", "", "languages: go, python, node, rust, java, shell"},
	} {
		s, err := starter.Find(c.language, function.EntryType(c.entry))
		if err == nil && string(s.Entry) == c.want {
			continue
		}
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), c.want) {
			t.Errorf("Find(%q, %q) = %+v, %v (%s), want %s", c.language, c.entry, s, err, fault.HintOf(err), c.want)
		}
	}
}

func TestWriteLeavesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{"main.py": "mine", "other": "mine"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := starter.Write(dir, map[string]string{"main.py": "new", "a/b": "new"})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "main.py") {
		t.Errorf("Write over main.py = %v, want a conflict that names it", err)
	}
	paths, err := starter.Write(dir, map[string]string{"z": "new", "a/b": "new"})
	if err != nil || !slices.Equal(paths, []string{"a/b", "z"}) {
		t.Errorf("Write = %v, %v", paths, err)
	}
	for path, want := range map[string]string{"main.py": "mine", "other": "mine", "a/b": "new", "z": "new"} {
		if text, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(text) != want {
			t.Errorf("%s holds %q, %v, want %q", path, text, err, want)
		}
	}
}

func TestWriteLeavesNothingHalfDone(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "new", "function")
	long := strings.Repeat("x", 300) // over what a file system takes as a name
	_, err := starter.Write(dir, map[string]string{"a/b": "1", "c": "2", "z/" + long: "3"})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Write = %v, want it unavailable", err)
	}
	if _, err := os.Stat(filepath.Join(parent, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was written stays behind: %v", err)
	}
	if err := os.WriteFile(filepath.Join(parent, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := starter.Write(filepath.Join(parent, "file", "function"), map[string]string{"a": "1"}); err == nil {
		t.Error("Write below a file succeeded")
	}
}
