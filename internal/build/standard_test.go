package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

func goModule(t *testing.T, main string) string {
	return source(t, map[string]string{"go.mod": "module example.com/hello\n\ngo 1.21\n", "main.go": main})
}

// TestGoItselfIsCompiledOnce also tries what a hostile build would: to write where all builds read.
func TestGoItselfIsCompiledOnce(t *testing.T) {
	b := newBench(t, Options{})
	need.That(t, b.find("go") != "", "go below /usr")
	r := Request{Dir: goModule(t, "package main\n\nimport \"errors\"\n\nfunc main() { println(errors.New(\"x\").Error()) }\n"), Programs: []string{"hello"},
		Build: function.Build{Type: function.BuildGo, Network: function.NetworkNone, Timeout: function.BuildTimeout}}
	build := func(scope string, build function.Build) string {
		t.Helper()
		var out bytes.Buffer
		r := r
		r.Scope, r.Build, r.Out = scope, build, &out
		if _, err := b.Run(t.Context(), r); err != nil {
			t.Fatalf("Run: %v\n%s", err, &out)
		}
		return out.String()
	}
	const compiles = "compiling what it imports of Go itself"
	if said := build("one", r.Build); !strings.Contains(said, compiles) || slices.Contains(strings.Split(said, "\n"), "runtime") {
		t.Errorf("the first build said\n%s\nwant Go's own packages compiled, and not by itself", said)
	}
	said := build("two", r.Build)
	if strings.Contains(said, compiles) || slices.Contains(strings.Split(said, "\n"), "runtime") || !strings.Contains(said, "\nexample.com/hello\n") {
		t.Errorf("the second build said\n%s\nwant its own package compiled, and nothing of Go", said)
	}
	if said := build("two", r.Build); strings.Contains(said, "looking for") {
		t.Errorf("the third build said\n%s\nwant it to know what it imports", said)
	}
	tool, err := b.goTool()
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, filepath.Join(b.cacheDir(), tool.name))
	hostile := shell("for f in /build/standard/*/* /build/cache/go-build/*/*-d; do chmod 777 $f; echo poison > $f; rm -f $f; done; mkdir -p /build/cache/go-build/00; ln -sf /etc/passwd /build/cache/go-build/00/" + strings.Repeat("0", 64) + "-d; touch hello; chmod +x hello; exit 0")
	build("two", hostile)
	if after := tree(t, filepath.Join(b.cacheDir(), tool.name)); !slices.Equal(before, after) {
		t.Errorf("a hostile build changed what all have:\n%q, before it\n%q", after, before)
	}
	if said := build("three", r.Build); slices.Contains(strings.Split(said, "\n"), "runtime") {
		t.Errorf("the build after it said\n%s\nwant nothing of Go compiled", said)
	}
	build("two", r.Build) // who has harmed only itself
}

// tree is the names and sizes of what is below a directory.
func tree(t *testing.T, dir string) (list []string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, de fs.DirEntry, err error) error {
		if err != nil || de.IsDir() {
			return err
		}
		sum, err := sumOf(root, path)
		list = append(list, path+" "+string(sum))
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%s has %d files, %v", dir, len(list), err)
	}
	return list
}

func TestWhatGoHasItself(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"errors", "net/http", "internal/abi", "vendor/golang.org/x/net", "cmd/go"} {
		if err := os.MkdirAll(filepath.Join(root, "src", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g := &goTool{root: root}
	got := g.own([]string{"errors", "-o", "net/http", "../../etc", "/etc", "internal/abi", "vendor/golang.org/x/net", "cmd/go", "unsafe", "no/such", "errors/...", "ERRORS", "./errors", "a=b"})
	if want := []string{"errors", "net/http"}; !slices.Equal(got, want) {
		t.Errorf("own = %q, want %q", got, want)
	}
}

// TestLinksLeadWhereTheyShall links into a cache where builds have left what they can.
func TestLinksLeadWhereTheyShall(t *testing.T) {
	kept, scope, outside := t.TempDir(), t.TempDir(), t.TempDir()
	entry := func(c string) string { return strings.Repeat(c, 64) + "-d" }
	write := func(path string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []string{"a", "b", "c", "d"} {
		write(filepath.Join(kept, "0a", entry(c)))
	}
	write(filepath.Join(kept, "0a", "no entry"))
	write(filepath.Join(scope, "go-build/0a", entry("b")))
	link("/etc/passwd", filepath.Join(scope, "go-build/0a", entry("c")))
	link(standardAt+"/0a/"+entry("d"), filepath.Join(scope, "go-build/0a", entry("d")))
	link("/gone", filepath.Join(scope, "go-build/0a", entry("e")))
	if err := linkCache(scope, kept); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	list, err := os.ReadDir(filepath.Join(scope, "go-build/0a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, de := range list {
		got[de.Name()], _ = os.Readlink(filepath.Join(scope, "go-build/0a", de.Name()))
	}
	for c, want := range map[string]string{"a": standardAt + "/0a/" + entry("a"), "b": "", "c": standardAt + "/0a/" + entry("c"), "d": standardAt + "/0a/" + entry("d")} {
		if to, there := got[entry(c)]; !there || to != want {
			t.Errorf("%s leads to %q, there %v; want %q", c, to, there, want)
		}
	}
	if len(got) != 4 {
		t.Errorf("the cache has %v, want four", got)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(scope, "go-build/0a")), os.Symlink(outside, filepath.Join(scope, "go-build/0a"))); err != nil {
		t.Fatal(err)
	}
	if err := linkCache(scope, kept); err == nil {
		t.Error("linkCache followed a link out of the scope")
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("outside of the scope are %v, %v", list, err)
	}
}

// TestWhatTheNodeLeavesFollowsNoLink leaves files where builds have put links of their names.
func TestWhatTheNodeLeavesFollowsNoLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("whole"), 0o600), os.Symlink(victim, filepath.Join(dir, trimmed)), os.Symlink(filepath.Join(outside, "new"), filepath.Join(dir, "known"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(keepUntrimmed(dir, time.Unix(7, 0)), leaveFile(dir, "known", nil)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "whole" {
		t.Errorf("a file outside has %q, %v; want it as it was", text, err)
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) != 1 {
		t.Errorf("outside are %v, %v; want the one file", list, err)
	}
	for name, want := range map[string]string{trimmed: "7", "known": ""} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() {
			t.Errorf("Lstat(%s) = %v, %v; want a file", name, info, err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s has %q, %v; want %q", name, text, err, want)
		}
	}
}

// TestABuildPutsALinkWhereTheNodeWrites is of one that does so while it is asked for its imports.
func TestABuildPutsALinkWhereTheNodeWrites(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, j := compiling(t, func(cache string) error {
		tool, err := filepath.Glob(filepath.Join(filepath.Dir(cache), "go-*"))
		if err != nil || len(tool) != 1 {
			return errors.Join(err, errors.New("there is not one directory of Go's own"))
		}
		return os.Symlink(victim, filepath.Join(cache, "built-with-"+filepath.Base(tool[0])))
	})
	if err := b.linkStandard(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "whole" {
		t.Errorf("the file that the link led to has %q, %v; want it as it was", text, err)
	}
}

func TestWhatTidyRemovedIsCompiledAgain(t *testing.T) {
	b, j := compiling(t, func(string) error { return nil })
	count := &b.runner.(*emptied).started
	dir := filepath.Join(b.cacheDir(), "go-1")
	if err := makeKept(dir); err != nil {
		t.Fatal(err)
	}
	compile := func(want int) {
		t.Helper()
		if err := b.compileStandard(t.Context(), j, []string{"errors"}, dir); err != nil || *count != want {
			t.Errorf("compileStandard: %v, compiled %d times; want %d", err, *count, want)
		}
	}
	compile(1)
	compile(1)
	b.now = func() time.Time { return time.Now().Add(2 * keepCache) }
	if err := b.Tidy(t.Context(), func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.Base(goCacheAt)), 0o755); err != nil { // as a build does that has to compile nothing
		t.Fatal(err)
	}
	compile(2)
}

// emptied is sandboxes that end at once, when do has had the directory that they keep things in.
type emptied struct {
	do      func(cache string) error
	started int
}

func (e *emptied) Start(_ context.Context, s runner.Spec) (runner.Sandbox, error) {
	e.started++
	for _, m := range s.Mounts {
		if m.At == cacheAt {
			return over{}, e.do(m.Dir)
		}
	}
	return over{}, nil
}

// over is a sandbox that has ended well.
type over struct{ runner.Sandbox }

func (over) Exit() runner.Exit { return runner.Exit{} }

func (over) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// compiling is builds without sandboxes, and a job of theirs that compiles Go.
func compiling(t *testing.T, do func(cache string) error) (*Builds, *job) {
	t.Helper()
	b, err := Open(Options{Dir: t.TempDir(), Runner: &emptied{do: do}, Code: noCode{}, Log: &facts{}})
	if err != nil {
		t.Fatal(err)
	}
	need.That(t, b.find("go") != "", "go below /usr")
	r := &Request{Dir: goModule(t, "package main\n\nfunc main() {}\n"), Scope: "s", Build: function.Build{Type: function.BuildGo}}
	w, err := b.workspace(t.Context(), "id", r)
	if err != nil {
		t.Fatal(err)
	}
	out := newOutlet(io.Discard)
	log, err := newLog(b.logFile("id"), out, hidden(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(log.close(), w.remove()); err != nil {
			t.Error(err)
		}
		out.close()
	})
	return b, &job{Request: r, plan: &plan{env: goEnv()}, id: "id", log: log, place: w}
}

// noCode keeps nothing.
type noCode struct{}

func (noCode) Put(context.Context, io.Reader) (string, error) { return "", errors.New("no store") }

func TestWhatIsDamagedIsDropped(t *testing.T) {
	dir := t.TempDir()
	whole, damaged := "0a/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881-d", "0a/"+strings.Repeat("0", 64)+"-d"
	if err := os.Mkdir(filepath.Join(dir, "0a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{whole, damaged} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	link := filepath.Join(dir, "0a", strings.Repeat("1", 64)+"-d")
	if err := errors.Join(os.WriteFile(outside, []byte("x"), 0o644), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	if err := dropDamaged(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link that leads out: %v, want it gone", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("what it led to: %v", err)
	}
	_, err := os.Stat(filepath.Join(dir, whole))
	_, gone := os.Stat(filepath.Join(dir, damaged))
	if err != nil || !errors.Is(gone, fs.ErrNotExist) {
		t.Errorf("of what is whole and what is not: %v, %v; want the first one alone", err, gone)
	}
}
