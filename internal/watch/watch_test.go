package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/dalamb/dalamb/internal/fault"
)

// place is a directory that is watched, and what is done there.
type place struct {
	t       *testing.T
	dir     string
	watcher *Watcher
	set     Set
}

// watched makes code/main.py, code/lib/x.py, manifest and other, and watches code, manifest and later, which is not there.
func watched(t *testing.T) *place {
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &place{t: t, dir: t.TempDir(), watcher: w}
	for _, f := range []string{"code/main.py", "code/lib/x.py", "code/cache/y", "manifest", "other"} {
		p.write(f)
	}
	ignored := func(path string, dir bool) bool { return dir && path == "cache" || strings.HasSuffix(path, ".md") }
	p.set = Set{Files: []string{p.at("manifest")}, Trees: []Tree{{Dir: p.at("code"), Ignored: ignored}, {Dir: p.at("later/tree")}}}
	p.watch()
	return p
}

func (p *place) at(path string) string { return filepath.Join(p.dir, path) }

func (p *place) watch() {
	p.t.Helper()
	if err := p.watcher.Watch(p.set); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) write(path string) {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.at(path)), 0o755))
	p.must(os.WriteFile(p.at(path), []byte(path), 0o644))
}

// next is what Next tells, below the directory.
func (p *place) next() []string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	changed, err := p.watcher.Next(ctx)
	p.must(err)
	for i, path := range changed {
		below, err := filepath.Rel(p.dir, path)
		p.must(err)
		changed[i] = filepath.ToSlash(below)
	}
	return changed
}

func TestChangesAreTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *place)
		want   string // among what is told
	}{
		{"a file is written", func(p *place) { p.write("code/main.py") }, "code/main.py"},
		{"a file further down", func(p *place) { p.write("code/lib/x.py") }, "code/lib/x.py"},
		{"a new file", func(p *place) { p.write("code/new.py") }, "code/new.py"},
		{"a file goes", func(p *place) { p.must(os.Remove(p.at("code/main.py"))) }, "code/main.py"},
		{"a file becomes executable", func(p *place) { p.must(os.Chmod(p.at("code/main.py"), 0o755)) }, "code/main.py"},
		{"another file takes its place, as editors save", func(p *place) {
			p.write("code/main.py~")
			p.must(os.Rename(p.at("code/main.py~"), p.at("code/main.py")))
		}, "code/main.py"},
		{"a directory comes, with all that it has", func(p *place) { p.write("code/a/b/c") }, "code/a"},
		{"a directory goes", func(p *place) { p.must(os.RemoveAll(p.at("code/lib"))) }, "code/lib"},
		{"the single file", func(p *place) { p.write("manifest") }, "manifest"},
		{"the single file comes again", func(p *place) {
			p.must(os.Remove(p.at("manifest")))
			p.next()
			p.write("manifest")
		}, "manifest"},
		{"what was not there comes, by and by", func(p *place) {
			p.must(os.Mkdir(p.at("later"), 0o755))
			p.next()
			p.watch()
			p.must(os.Mkdir(p.at("later/tree"), 0o755))
			p.next()
			p.watch()
			p.write("later/tree/file")
		}, "later/tree/file"},
		{"the tree goes and comes again", func(p *place) {
			p.must(os.RemoveAll(p.at("code")))
			p.next()
			p.watch()
			p.write("code/main.py")
			p.next()
			p.watch()
			p.write("code/lib/x.py")
		}, "code/lib"},
		{"another directory takes the tree's place", func(p *place) {
			p.write("new/main.py")
			p.must(os.Rename(p.at("code"), p.at("old")))
			p.must(os.Rename(p.at("new"), p.at("code")))
			p.next()
			p.watch()
			p.write("code/main.py")
		}, "code/main.py"},
		{"in a directory that came later", func(p *place) {
			p.must(os.Mkdir(p.at("code/more"), 0o755))
			p.next()
			p.watch()
			p.write("code/more/z.py")
		}, "code/more/z.py"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := watched(t)
			c.change(p)
			if got := p.next(); !slices.Contains(got, c.want) {
				t.Errorf("told of %v, want %s among it", got, c.want)
			}
		})
	}
}

func TestWhatIsNoneOfItIsNotTold(t *testing.T) {
	p := watched(t)
	for _, path := range []string{"other", "later-not", "code/cache/y", "code/cache/deep/z", "code/README.md", "code/main.py~", "code/.main.py.swp", "code/.#main.py", "code/4913"} {
		p.write(path)
	}
	p.write("code/main.py")
	if got := p.next(); !slices.Equal(got, []string{"code/main.py"}) {
		t.Errorf("told of %v, want code/main.py alone", got)
	}
	p.set.Trees = nil
	p.watch()
	p.write("code/main.py")
	p.write("manifest")
	if got := p.next(); !slices.Equal(got, []string{"manifest"}) {
		t.Errorf("without the tree told of %v, want manifest alone", got)
	}
}

func TestManyFilesAtOnce(t *testing.T) {
	p := watched(t)
	const n = 2000
	for i := range n {
		p.write(fmt.Sprintf("code/lib/%d.py", i))
	}
	told := map[string]bool{}
	for rounds := 0; len(told) < n; rounds++ {
		if rounds == 10 {
			t.Fatalf("%d files told of in %d rounds, want %d in few", len(told), rounds, n)
		}
		for _, path := range p.next() {
			told[path] = true
		}
	}
}

// drawn is a Watcher whose changes come from the test.
func drawn() (*Watcher, chan fsnotify.Event, chan error) {
	events, failures := make(chan fsnotify.Event), make(chan error)
	return &Watcher{notify: &fsnotify.Watcher{Events: events, Errors: failures}, set: Set{Files: []string{"/f", "/g"}}}, events, failures
}

func TestAFlockIsToldOnceItHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, events, _ := drawn()
		go func() {
			for _, name := range []string{"/f", "/g", "/f"} {
				events <- fsnotify.Event{Name: name, Op: fsnotify.Write}
				time.Sleep(quiet - time.Millisecond)
			}
		}()
		began := time.Now()
		got, err := w.Next(t.Context())
		if took := time.Since(began); err != nil || !slices.Equal(got, []string{"/f", "/g"}) || took != 2*(quiet-time.Millisecond)+quiet {
			t.Errorf("Next = %v, %v after %s", got, err, took)
		}
	})
}

func TestAFlockWithoutEndIsToldToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, events, _ := drawn()
		ctx, cancel := context.WithCancel(t.Context())
		var sender sync.WaitGroup
		sender.Go(func() {
			for ctx.Err() == nil {
				select {
				case events <- fsnotify.Event{Name: "/f", Op: fsnotify.Write}:
				case <-ctx.Done():
				}
				time.Sleep(time.Millisecond)
			}
		})
		began := time.Now()
		if got, err := w.Next(t.Context()); err != nil || len(got) != 1 || time.Since(began) != atMost {
			t.Errorf("Next = %v, %v after %s, want it after %s", got, err, time.Since(began), atMost)
		}
		cancel()
		sender.Wait()
	})
}

func TestWhatTheSystemSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, failures := drawn()
		go func() { failures <- fsnotify.ErrEventOverflow }()
		if got, err := w.Next(t.Context()); err != nil || len(got) != 1 {
			t.Errorf("Next after too many changes = %v, %v, want a change", got, err)
		}
		go func() { failures <- syscall.EIO }()
		if _, err := w.Next(t.Context()); !errors.Is(err, syscall.EIO) {
			t.Errorf("Next = %v, want the system's error", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Next = %v, want the context's error", err)
		}
	})
}

func TestLimitsNameTheSetting(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.ENOSPC: "max_user_watches", syscall.EMFILE: "max_user_instances", syscall.EIO: "",
	} {
		err := limited("watch /f", cause)
		if fault.KindOf(err) != fault.Exhausted || !errors.Is(err, cause) || !strings.Contains(fault.HintOf(err), want) {
			t.Errorf("%v: %v, hint %q", cause, err, fault.HintOf(err))
		}
	}
}
