package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func source(t *testing.T) []*File {
	t.Helper()
	files, err := Parse("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("Parse(root) gave %d files: is the root right?", len(files))
	}
	return files
}

func TestImportsObeyTheTable(t *testing.T) {
	for _, line := range CheckImports(source(t), Table(), Edges()) {
		t.Error(line)
	}
}

func TestSourceKeepsTheHabits(t *testing.T) {
	for _, line := range CheckHabits(source(t), Exceptions()) {
		t.Error(line)
	}
}

func TestTableHasReasonsAndKnownRooms(t *testing.T) {
	rooms := map[string]bool{}
	for _, r := range Table() {
		if rooms[short(r.Path)] {
			t.Errorf("room %s is in the table twice", r.Path)
		}
		rooms[short(r.Path)] = true
	}
	for _, r := range Table() {
		for _, m := range r.May {
			if m = strings.TrimPrefix(m, "-"); m != "*" && !rooms[m] {
				t.Errorf("room %s may import %s, which is no room", r.Path, m)
			}
		}
	}
	for _, e := range Edges() {
		if !rooms[e.From] || !rooms[e.To] || e.Reason == "" {
			t.Errorf("edge %+v: want two rooms of the table and a reason", e)
		}
	}
	for _, e := range Exceptions() {
		if e.Reason == "" {
			t.Errorf("exception %+v has no reason", e)
		}
	}
}

// A ring of rooms could not be built by Go either, but one through several edges is easier to see here than in its message.
func TestTableHasNoRing(t *testing.T) {
	h := newHouse(Table(), Edges())
	for name, may := range h.rooms {
		for _, m := range may {
			if m != name && h.reach(m, name) {
				t.Errorf("%s may import %s, which reaches %s again", name, m, name)
			}
		}
	}
}

// TestChecksFind proves each check on a small tree that breaks it: a check that finds nothing anywhere guards nothing.
func TestChecksFind(t *testing.T) {
	const doc = "// Package %s owns something and leaves the rest.\n"
	tests := []struct {
		name, path, text, want string
	}{
		{"import of a room that is not allowed", "internal/event/a.go", doc + "package event\nimport _ \"github.com/dalamb/dalamb/internal/catalog\"\n", "event may not import catalog"},
		{"driver outside app", "internal/gateway/a.go", doc + "package gateway\nimport _ \"github.com/dalamb/dalamb/internal/eventlog/disk\"\n", "gateway may not import eventlog/disk"},
		{"test imports what its room cannot reach", "internal/event/a_test.go", "package event\nimport _ \"github.com/dalamb/dalamb/internal/fleet\"\n", "event may not import fleet"},
		{"unknown room", "internal/attic/a.go", doc + "package attic\n", "internal/attic is no room"},
		{"import of an unknown room", "internal/event/a.go", doc + "package event\nimport _ \"github.com/dalamb/dalamb/internal/attic\"\n", "internal/attic, which is no room"},
		{"module for tests", "internal/event/a.go", doc + "package event\nimport _ \"pgregory.net/rapid\"\n", "which is for tests"},
		{"init", "internal/event/a.go", doc + "package event\nfunc init() {}\n", "[init]"},
		{"exit", "internal/event/a.go", doc + "package event\nimport \"os\"\nfunc f() { os.Exit(1) }\n", "[edge]"},
		{"environment by another name", "internal/event/a.go", doc + "package event\nimport x \"os\"\nvar v = x.Getenv(\"A\")\n", "[edge]"},
		{"package util", "internal/event/util/a.go", doc + "package util\n", "[name]"},
		{"package not named as its directory", "internal/event/a.go", doc + "package events\n", "[name]"},
		{"sleep in a test", "internal/event/a_test.go", "package event\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "[sleep]"},
		{"skip in a test", "internal/event/a_test.go", "package event\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Skip() }\n", "[skip]"},
		{"long file", "internal/event/a.go", doc + "package event\n" + strings.Repeat("\n", 600), "[length]"},
		{"variable to be filled", "internal/event/a.go", doc + "package event\nvar cache = map[string]int{}\n", "[state]"},
		{"variable without value", "internal/event/a.go", doc + "package event\nvar counter int\n", "[state]"},
		{"lock of the package", "internal/event/a.go", doc + "package event\nimport \"sync\"\nvar mu = &sync.Mutex{}\n", "[state]"},
		{"left for later", "internal/event/a.go", doc + "package event\n// TODO: the rest\n", "[todo]"},
		{"stored context", "internal/event/a.go", doc + "package event\nimport \"context\"\ntype s struct{ ctx context.Context }\n", "[ctx]"},
		{"error that says that it failed", "internal/event/a.go", doc + "package event\nimport \"errors\"\nfunc f() error { return errors.New(\"failed to read\") }\n", "[words]"},
		{"no doc comment", "internal/event/a.go", "package event\n", "[doc]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, map[string]string{tt.path: tt.text})
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("checks of %s = %q, want one line with %q", tt.path, got, tt.want)
			}
		})
	}
}

func TestChecksLetPass(t *testing.T) {
	got := check(t, map[string]string{
		"internal/gateway/a.go":           "// Package gateway owns something and leaves the rest.\npackage gateway\nimport _ \"github.com/dalamb/dalamb/internal/wire\"\nvar names = []string{\"a\"}\n",
		"internal/gateway/a_test.go":      "package gateway_test\nimport (_ \"github.com/dalamb/dalamb/internal/eventlog/disk\"; _ \"pgregory.net/rapid\"; _ \"github.com/dalamb/dalamb/internal/runner\")\n",
		"internal/app/drivers.go":         "// Package app owns something and leaves the rest.\npackage app\nimport _ \"github.com/dalamb/dalamb/internal/eventlog/disk\"\n",
		"internal/event/b_test.go":        "package event\nimport (\"testing/synctest\"; \"time\")\nfunc f() { synctest.Wait(); time.Sleep(1) }\n",
		"internal/event/c_test.go":        "package event\nimport \"time\"\nfunc hang() { time.Sleep(time.Hour) }\n",
		"internal/event/a.go":             "// Package event owns something and leaves the rest.\npackage event\n",
		"internal/event/d_test.go":        "package event\nimport \"pgregory.net/rapid\"\nvar step = func(t *rapid.T) { t.Skip() }\n",
		".gitignore":                      "/bin/\n/demo-data/\n",
		"demo-data/x.go":                  "package broken{",
		"internal/event/testdata/x.go":    "package broken{",
		"internal/runner/native/sub/a.go": "// Package sub owns something and leaves the rest.\npackage sub\nimport _ \"github.com/dalamb/dalamb/internal/runner\"\n",
	})
	if len(got) != 0 {
		t.Errorf("checks of a good tree = %q, want nothing", got)
	}
}

func TestExceptionCoversAndMustCover(t *testing.T) {
	root := t.TempDir()
	write(t, root, "internal/event/a.go", "// Package event owns something and leaves the rest.\npackage event\nfunc init() {}\n")
	files, err := Parse(root)
	if err != nil {
		t.Fatal(err)
	}
	covers := []Exception{{"init", "internal/event/a.go", "a test"}}
	if got := CheckHabits(files, covers); len(got) != 0 {
		t.Errorf("with the exception: %q, want nothing", got)
	}
	stale := append(covers, Exception{"sleep", "internal/event", "a test"})
	if got := CheckHabits(files, stale); len(got) != 1 || !strings.Contains(got[0], "covers nothing") {
		t.Errorf("with an exception too many: %q, want one line that says so", got)
	}
}

func check(t *testing.T, tree map[string]string) []string {
	t.Helper()
	root := t.TempDir()
	for p, text := range tree {
		write(t, root, p, strings.ReplaceAll(text, "%s", filepath.Base(filepath.Dir(p))))
	}
	files, err := Parse(root)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(CheckImports(files, Table(), Edges()), CheckHabits(files, nil))
}

func write(t *testing.T, root, p, text string) {
	t.Helper()
	p = filepath.Join(root, filepath.FromSlash(p))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
