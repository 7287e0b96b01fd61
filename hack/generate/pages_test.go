package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/match"
)

const root = "../.."

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pages(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, form := range []string{"*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, form))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			names = append(names, strings.TrimPrefix(f, root+"/"))
		}
	}
	if len(names) < 10 {
		t.Fatalf("found only %q", names)
	}
	return names
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

func TestPagesLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(page(t, name), -1) {
			if target := filepath.Join(filepath.Dir(name), m[1]); !exists(target) {
				t.Errorf("%s links to %s, which is not there", name, target)
			}
		}
	}
}

// TestArchitectureNamesFilesThatExist: a file is written below internal/, or without its directory after another of the same one.
func TestArchitectureNamesFilesThatExist(t *testing.T) {
	seen := 0
	for paragraph := range strings.SplitSeq(page(t, "ARCHITECTURE.md"), "\n\n") {
		dir := ""
		for _, m := range regexp.MustCompile("`([a-z0-9_/]+\\.go)`").FindAllStringSubmatch(paragraph, -1) {
			seen++
			name := m[1]
			if at := filepath.Dir(name); at != "." {
				dir = at
			} else {
				name = dir + "/" + name
			}
			if !exists("internal/" + name) {
				t.Errorf("ARCHITECTURE.md names %s, and there is no internal/%s", m[1], name)
			}
		}
	}
	if seen < 30 {
		t.Errorf("found %d file names: is the form right?", seen)
	}
}

func TestPatternsPageIsRight(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| ([^|`]+) \\| `([^`]+)` \\| `([^`]+)` \\| `([^`]+)` \\|$")
	rows := row.FindAllStringSubmatch(page(t, "docs/patterns.md"), -1)
	if len(rows) < 18 {
		t.Errorf("found %d examples: is the form right?", len(rows))
	}
	for _, m := range rows {
		p, err := match.Parse([]byte(m[2]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		for i, want := range []bool{true, false} {
			if got, err := p.MatchJSON([]byte(m[3+i])); got != want || err != nil {
				t.Errorf("%s: %s on %s = %v, %v, want %v", m[1], m[2], m[3+i], got, err, want)
			}
		}
	}
}
