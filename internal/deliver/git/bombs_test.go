package git

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// What is small as it is sent, and not as it is read, is refused before it takes the node's time or memory.

// pushedWithin is push that has to end in time.
func (w *work) pushedWithin(t *testing.T, most time.Duration, args ...string) (said string, ok bool) {
	t.Helper()
	cmd := w.command(append([]string{"push"}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	late := time.AfterFunc(most, func() { cmd.Process.Kill() })
	err := cmd.Run()
	if !late.Stop() {
		t.Fatalf("git push took more than %s; it said\n%s", most, out.String())
	}
	return out.String(), err == nil
}

func TestAPushOfTooManyRefs(t *testing.T) {
	h, w := newHost(t), newWork(t)
	id := w.commit("first", shop())
	var refs strings.Builder
	for i := range 2 * maxUpdates {
		fmt.Fprintf(&refs, "create refs/tags/%s%d %s\n", strings.Repeat("t", 100), i, id)
	}
	update := w.command("update-ref", "--stdin")
	update.Stdin = strings.NewReader(refs.String())
	if out, err := update.CombinedOutput(); err != nil {
		t.Fatalf("git update-ref: %v\n%s", err, out)
	}
	said, ok := w.pushedWithin(t, time.Minute, h.url, "--tags")
	wantText(t, said, fmt.Sprintf("the push has more than %d refs", maxUpdates))
	if ok {
		t.Error("the push was accepted")
	}
}

func TestAPushOfAManifestThatIsTooLarge(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files["pay/dalamb.yaml"] += strings.Repeat("# and so on\n", function.MaxManifest/12)
	w.commit("first", files)
	said, ok := w.pushedWithin(t, time.Minute, h.url, "main")
	wantText(t, said, fmt.Sprintf("pay/dalamb.yaml: is %d bytes long; at most %d are read", len(files["pay/dalamb.yaml"]), function.MaxManifest))
	if ok {
		t.Error("the push was accepted")
	}
}

// object stores an object and returns its id.
func (w *work) object(t *testing.T, kind, text string) string {
	t.Helper()
	hash := w.command("hash-object", "-t", kind, "-w", "--literally", "--stdin")
	hash.Stdin = strings.NewReader(text)
	out, err := hash.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// tree stores a tree that has another object under several names.
func (w *work) tree(t *testing.T, mode, id string, names ...string) string {
	t.Helper()
	raw := make([]byte, len(id)/2)
	if _, err := fmt.Sscanf(id, "%x", &raw); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s %s\x00%s", mode, name, raw)
	}
	return w.object(t, "tree", text.String())
}

func TestBombs(t *testing.T) {
	letters := strings.Split("abcdefghijklmnop", "")
	for _, c := range []struct {
		name string
		make func(t *testing.T, w *work) (commit string)
		said string
	}{
		{"a tree of itself, sixteen times in each of sixteen levels", func(t *testing.T, w *work) string {
			id := w.tree(t, "100644", w.object(t, "blob", "x"), letters...)
			for range 15 {
				id = w.tree(t, "40000", id, letters...)
			}
			return w.git("commit-tree", "-m", "bomb", id)
		}, "more than"},
		{"long paths", func(t *testing.T, w *work) string {
			var long []string
			for _, l := range letters {
				long = append(long, strings.Repeat(l, 250))
			}
			id := w.tree(t, "100644", w.object(t, "blob", "x"), long...)
			for range 4 {
				id = w.tree(t, "40000", id, long...)
			}
			return w.git("commit-tree", "-m", "bomb", id)
		}, "paths"},
		{"one manifest in many places", func(t *testing.T, w *work) string {
			id := w.tree(t, "100644", w.object(t, "blob", "name: 1\n"), manifestName)
			for range 3 {
				id = w.tree(t, "40000", id, letters...)
			}
			return w.git("commit-tree", "-m", "bomb", id)
		}, fmt.Sprintf("more than %d", maxFunctions)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, w := newHost(t), newWork(t)
			said, ok := w.pushedWithin(t, time.Minute, h.url, c.make(t, w)+":refs/heads/main")
			wantText(t, said, c.said)
			if ok || len(h.versions) != 0 || len(said) > 4096 {
				t.Errorf("pushed: %v, versions %v; git said %d bytes, want a short refusal", ok, h.versions, len(said))
			}
		})
	}
}

// A message compresses well, and has no bound.
func TestALongMessageIsNotReadWhole(t *testing.T) {
	const long = 64 << 20
	h, w := newHost(t), newWork(t)
	tree := w.tree(t, "100644", w.object(t, "blob", "x"), "a")
	id := w.object(t, "commit", "tree "+tree+"\nauthor Jane <jane@example.com> 1 +0000\ncommitter Jane <jane@example.com> 1 +0000\n\n"+strings.Repeat("x", long))
	o := objects{program: h.server.program, dir: filepath.Join(w.dir, ".git")}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := o.commit(t.Context(), id)
	runtime.ReadMemStats(&after)
	if err != nil || c.Author != "Jane <jane@example.com>" || !strings.HasPrefix(c.Subject, "xxx") {
		t.Errorf("commit = %+v, %v", c, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > long/4 {
		t.Errorf("a commit of %d bytes took %d bytes of memory", long, took)
	}
}
