package registry

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestIndexIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	h := serveFrom(t, dir)
	digest := h.pushImage("fn/hello", "1", "{}", "layer")
	h.pushBlob("fn/alone", "blob")
	h.pushBlob("gone", "blob")
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/gone/blobs/" + digestOf("blob")})
	if err := os.WriteFile(filepath.Join(dir, "registry", "repositories", "new-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	h = serveFrom(t, dir)
	if got, err := h.Resolve("fn/hello", "1"); err != nil || got.Digest != digest {
		t.Errorf("Resolve after a restart = %+v, %v, want %s", got, err, digest)
	}
	if got, _ := h.pages("/v2/_catalog", "repositories"); strings.Join(got, " ") != "fn/alone fn/hello" {
		t.Errorf("catalog after a restart = %q", got)
	}
	h.must(http.StatusOK, call{method: "HEAD", path: "/v2/fn/alone/blobs/" + digestOf("blob")})
	if _, err := os.Stat(filepath.Join(dir, "registry", "repositories", "new-1")); !os.IsNotExist(err) {
		t.Errorf("what an interrupted change left is there still: %v", err)
	}
}

func TestDamagedIndexIsNamed(t *testing.T) {
	for name, content := range map[string]string{"a.json": "half", "b.json": `{"name":"c"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openIndex(dir); fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("openIndex with %s = %v, want an error that names it", name, err)
		}
	}
}

func TestRefusedChangeChangesNothing(t *testing.T) {
	h := serve(t)
	h.pushBlob("a", "{}")
	no := errors.New("no")
	err := h.index.change(t.Context(), "a", func(r *repository) error {
		r.Tags["x"] = "y"
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("change = %v, want %v", err, no)
	}
	if r, err := h.index.get("a"); err != nil || len(r.Tags) != 0 {
		t.Errorf("after a refused change: %+v, %v", r, err)
	}
	<-h.index.turn // somebody else's
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.index.change(ctx, "a", func(*repository) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("change without a turn = %v, want canceled", err)
	}
}

func TestGarbageIsCollected(t *testing.T) {
	h := serve(t)
	kept, dropped := h.pushImage("a", "1", "{}", "kept"), h.pushImage("a", "2", `{"n":2}`, "dropped")
	h.pushBlob("b", "never used")
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/manifests/" + dropped})
	collect := func() int {
		t.Helper()
		needed := h.Needed()
		n, err := h.blobs.GC(func(digest string) bool { return needed[digest] })
		if err == nil {
			err = h.Forget(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := collect(); n != 0 {
		t.Errorf("%d blobs were collected right after the push", n)
	}
	long := time.Now().Add(-2 * time.Hour)
	content := filepath.Join(h.dir, "content", "sha256")
	list, err := os.ReadDir(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, de := range list {
		if err := os.Chtimes(filepath.Join(content, de.Name()), long, long); err != nil {
			t.Fatal(err)
		}
	}
	h.must(http.StatusOK, call{method: "HEAD", path: "/v2/a/blobs/" + digestOf(`{"n":2}`)}) // somebody is about to use it
	if n := collect(); n != 3 {
		t.Errorf("%d blobs were collected, want the manifest, its layer and the one never used", n)
	}
	h.must(http.StatusOK, call{method: "GET", path: "/v2/a/manifests/" + kept})
	h.must(http.StatusOK, call{method: "GET", path: "/v2/a/blobs/" + digestOf("kept")})
	h.must(http.StatusOK, call{method: "GET", path: "/v2/a/blobs/" + digestOf(`{"n":2}`)})
	h.must(http.StatusNotFound, call{method: "GET", path: "/v2/a/blobs/" + digestOf("dropped")})
	h.refused(404, codeNameUnknown, call{method: "GET", path: "/v2/b/tags/list"})
	h.pushBlob("b", "never used")
	h.must(http.StatusOK, call{method: "GET", path: "/v2/b/blobs/" + digestOf("never used")})
}
