package image

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestIgnore(t *testing.T) {
	for _, c := range []struct {
		lines string
		name  string // a slash at the end: a directory
		want  bool
	}{
		{"", "a.go", false},
		{"", ".git/", true},
		{"", "sub/.git/", true},
		{"", ".git", true}, // a worktree's file
		{"", ".gitignore", false},
		{"", ".dalambignore", true},
		{"!.git", ".git/", true},
		{"*.log", "a.log", true},
		{"*.log", "deep/down/a.log", true},
		{"*.log", "a.logs", false},
		{"/a.log", "a.log", true},
		{"/a.log", "deep/a.log", false},
		{"doc/*.md", "doc/a.md", true},
		{"doc/*.md", "x/doc/a.md", false},
		{"doc/*.md", "doc/x/a.md", false},
		{"doc/**/a.md", "doc/a.md", true},
		{"doc/**/a.md", "doc/x/y/a.md", true},
		{"**/tmp", "tmp/", true},
		{"**/tmp", "x/y/tmp", true},
		{"doc/**", "doc/x", true},
		{"doc/**", "doc/", false},
		{"build/", "build/", true},
		{"build/", "build", false},
		{"build/", "x/build/", true},
		{"*.txt\n!keep.txt", "keep.txt", false},
		{"*.txt\n!keep.txt", "drop.txt", true},
		{"!keep.txt\n*.txt", "keep.txt", true},
		{"# *.go\n\n  \t\n", "a.go", false},
		{`\#odd`, "#odd", true},
		{`\!odd`, "!odd", true},
		{"[a-c]?", "b1", true},
		{"[a-c]?", "d1", false},
		{"a.txt   \r", "a.txt", true},
		{"**/**/x", "a/x", true},
	} {
		list, err := parseIgnore([]byte(c.lines))
		if err != nil {
			t.Errorf("parseIgnore(%q) = %v", c.lines, err)
			continue
		}
		name, dir := strings.CutSuffix(c.name, "/")
		if got := list.ignores(name, dir); got != c.want {
			t.Errorf("%q ignores %q = %v, want %v", c.lines, c.name, got, c.want)
		}
	}
}

func TestIgnoreRefusesABadPatternByLine(t *testing.T) {
	for _, lines := range []string{"ok\n[", "ok\na//b", "ok\n../x", "ok\n/", "ok\n!", "ok\na/./b"} {
		_, err := parseIgnore([]byte(lines))
		if fault.KindOf(err) != fault.Invalid || err == nil || !strings.HasPrefix(err.Error(), ".dalambignore:2: ") {
			t.Errorf("parseIgnore(%q) = %v, want an error of line 2", lines, err)
		}
	}
}

func TestIgnoredIsWhatPackLeavesOut(t *testing.T) {
	for _, c := range []struct {
		file string // "" = there is none
		kind fault.Kind
		want []string // of those below
	}{
		{"", 0, []string{".git"}},
		{"*.log\nbuild/\n", 0, []string{".git", "a.log", "build"}},
		{"[\n", fault.Invalid, []string{".git"}},
	} {
		dir := t.TempDir()
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, IgnoreFile), []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ignored, err := Ignored(dir)
		if (err != nil) != (c.kind != 0) || err != nil && fault.KindOf(err) != c.kind {
			t.Errorf("Ignored of %q: %v", c.file, err)
		}
		var got []string
		for _, path := range []string{".git", "a.log", "build", "main.py"} {
			if ignored(path, path == "build" || path == ".git") {
				got = append(got, path)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q leaves out %v, want %v", c.file, got, c.want)
		}
	}
}
