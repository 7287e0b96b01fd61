package repository

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A kill leaves locks in the copy, a power cut empty files, and somebody may take files away: the copy is made anew, and nothing that was pushed is lost.
func TestACopyThatIsBrokenIsMadeAnew(t *testing.T) {
	s, n := newServer(t), newNode(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare}
	n.start(o)
	n.brought(3)
	n.stop()
	copied := filepath.Join(n.dir, "repository", "copy.git")
	empty := func(object string) {
		if err := os.RemoveAll(filepath.Join(copied, "objects", object[:2], object[2:])); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, "objects", object[:2], object[2:]), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lock := func(name string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(copied, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func()
	}{
		{"a lock on the tip", func() { lock("refs/dalamb/tip.lock") }},
		{"a lock on what is shallow", func() { lock("shallow.lock") }},
		{"an empty commit", func() { empty(s.commits()[0]) }},
		{"an empty directory", func() { empty(s.run("-C", s.bare, "rev-parse", "main:"+n.key()+"/00/00")) }},
		{"an empty file of a reference", func() { lock("refs/dalamb/tip") }},
		{"nothing but empty files", func() {
			err := filepath.WalkDir(filepath.Join(copied, "objects"), func(at string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				if err := os.Chmod(at, 0o600); err != nil {
					return err
				}
				return os.Truncate(at, 0)
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, runs := range []bool{false, true} {
			if runs {
				n.start(o)
				n.brought(1)
			}
			c.spoil()
			if !runs {
				n.start(o)
			}
			n.brought(2)
			n.stop()
			if strings.Contains(n.said.String(), "was rewritten") {
				t.Fatalf("%s: somebody is blamed for it\n%s", c.name, n.said)
			}
			t.Log(c.name, runs, len(s.commits()))
		}
	}
	text, err := ReadClone(clone(s), "")
	if err != nil {
		t.Fatal(err)
	}
	n.clean(text)
}

func clone(s *server) string {
	dir := filepath.Join(s.t.TempDir(), "clone")
	s.run("clone", "--quiet", "--branch", "main", s.bare, dir)
	return dir
}

// The copy is made small while another node pushes: that one's commit is all that it has then, and nobody has rewritten anything.
func TestAnotherPushWhileTheCopyIsMadeSmall(t *testing.T) {
	s, n := newServer(t), newNode(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare}
	n.start(o)
	n.brought(3)
	n.stop()
	was := s.commits()[0]
	s.run("-C", s.bare, "update-ref", "refs/heads/main", s.run("-C", s.bare, "commit-tree", "-p", was, "-m", "Another node", was+"^{tree}"))
	o.Dir = filepath.Join(n.dir, "repository")
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.git.shrink(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	before := len(s.commits())
	n.emit()
	n.start(o)
	n.until("it is pushed, or somebody is blamed", func() bool { return len(s.commits()) > before || n.keep.State().Trouble != "" })
	if !strings.Contains(strings.Join(s.commits(), " "), was) || strings.Contains(n.said.String(), "was rewritten") {
		t.Errorf("somebody is blamed for it:\n%s", n.said)
	}
}

// However often a node starts: what counts is what is in the copy.
func TestACopyThatHasGrownIsMadeSmallAtTheFirstPush(t *testing.T) {
	s, n := newServer(t), newNode(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare}
	n.start(o)
	n.brought(3)
	n.stop()
	// Git tells how many objects there are from one of their 256 directories.
	objects := filepath.Join(n.dir, "repository", "copy.git", "objects", "17")
	if err := os.MkdirAll(objects, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range small {
		if err := os.WriteFile(filepath.Join(objects, strings.Repeat("0", 30)+string([]byte{'0' + byte(i/4096), "0123456789abcdef"[i/256%16], "0123456789abcdef"[i/16%16], "0123456789abcdef"[i%16]})+"0000"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.start(o)
	n.brought(2)
	n.stop()
	if got := s.run("-C", filepath.Join(n.dir, "repository", "copy.git"), "count-objects"); !strings.HasPrefix(got, "0 ") && len(got) > len("99 objects, 999 kilobytes") {
		t.Errorf("the copy has %s", got)
	}
}

func TestWhatGitSaysIsBounded(t *testing.T) {
	l := limited{left: 3}
	if n, err := l.Write([]byte("ab")); n != 2 || err != nil {
		t.Error(n, err)
	}
	if n, err := l.Write([]byte("cd")); n != 1 || err == nil || !l.full || !bytes.Equal(l.text.Bytes(), []byte("abc")) {
		t.Errorf("Write = %d, %v, %+v", n, err, &l)
	}
	l = limited{left: 3, quiet: true}
	if n, err := l.Write([]byte("abcd")); n != 4 || err != nil || l.text.String() != "abc" {
		t.Errorf("Write = %d, %v, %+v", n, err, &l)
	}
}
