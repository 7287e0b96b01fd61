package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// codeOf makes a directory of code of files, by name; "-> NAME" makes a link.
func codeOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(to, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shows gives a gateway the code of versions.
func shows(dirs map[string]string) func(*Options) {
	return func(o *Options) {
		o.Code = func(digest string) (string, error) {
			if dirs[digest] == "" {
				return "", fault.New(fault.NotFound, "no code %s", digest)
			}
			return dirs[digest], nil
		}
	}
}

func files(path string, rule function.Static) function.Trigger {
	t := route("files", "", path)
	t.Route.Static = &rule
	return t
}

func TestFilesOfTheCode(t *testing.T) {
	dir := codeOf(t, map[string]string{
		"bootstrap": "a program", "public/index.html": "<p>home</p>", "public/app.js": "let a = 1", "public/docs/index.html": "<p>docs</p>", "public/empty/x/y": "deep",
		"public/.env": "PASSWORD=1", "public/.git/config": "hidden", "public/out": "-> ../bootstrap", "public/up": "-> /etc/passwd", "public/alias.js": "-> app.js", "public/loop": "-> loop",
		"public/a b%2f.txt": "odd",
	})
	if err := os.Mkdir(filepath.Join(dir, "public/none"), 0o755); err != nil {
		t.Fatal(err)
	}
	n := start(t, says("the function ran"), shows(map[string]string{"sha256:00": dir}))
	n.deploy("f", files("/site/{path...}", function.Static{Dir: "public", CacheControl: "max-age=60"}))
	const none = "there is no file"
	for _, c := range []struct {
		path   string
		status int
		body   string
		header string
	}{
		{"/site/", 200, "<p>home</p>", "Cache-Control: no-cache"},
		{"/site/index.html", 200, "<p>home</p>", "Cache-Control: no-cache"},
		{"/site/app.js", 200, "let a = 1", "Cache-Control: max-age=60"},
		{"/site/app.js", 200, "let a = 1", "Content-Type: text/javascript; charset=utf-8"},
		{"/site/alias.js", 200, "let a = 1", "X-Content-Type-Options: nosniff"},
		{"/site/a%20b%252f.txt", 200, "odd", ""},
		{"/site/docs", 307, "", "Location: /site/docs/"},
		{"/site/docs?a=1", 307, "", "Location: /site/docs/?a=1"},
		{"/site/docs/", 200, "<p>docs</p>", ""},
		{"/site/none/", 404, none, ""},
		{"/site/none", 404, none, ""},
		{"/site/app.js/", 404, none, ""},
		{"/site/app.js/x", 404, none, ""},
		{"/site/missing", 404, none, ""},
		{"/site/.env", 404, none, ""},
		{"/site/.git/config", 404, none, ""},
		{"/site/docs/.hidden", 404, none, ""},
		{"/site/out", 404, none, ""},
		{"/site/up", 404, none, ""},
		{"/site/loop", 404, none, ""},
		{"/site/%2e%2e/bootstrap", 404, none, ""},
		{"/site/..%2fbootstrap", 404, none, ""},
		{"/site/x%00", 404, none, ""},
		{"/site/x%5c..%5capp.js", 404, none, ""},
		{"/site/" + strings.Repeat("x", 300), 404, none, ""},
	} {
		g := n.send("GET", c.path, "", "Authorization", "")
		if g.status == 307 && c.status != 307 { // to the clean form of the path
			g = n.send("GET", g.header.Get("Location"), "", "Authorization", "")
		}
		name, want, _ := strings.Cut(c.header, ": ")
		if g.status != c.status || !strings.Contains(g.body, c.body) || name != "" && g.header.Get(name) != want {
			t.Errorf("GET %s = %d %s %v, want %d %s %s", c.path, g.status, g.body, g.header, c.status, c.body, c.header)
		}
	}
	if g := n.send("POST", "/site/app.js", "x", "Authorization", ""); g.status != 405 || g.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d %v, want 405", g.status, g.header)
	}
	if g := n.send("HEAD", "/site/app.js", "", "Authorization", ""); g.status != 200 || g.header.Get("Content-Length") != "9" {
		t.Errorf("HEAD = %d %v", g.status, g.header)
	}
	if g := n.send("GET", "/site/app.js", "", "Range", "bytes=4-4"); g.status != 206 || g.body != "a" {
		t.Errorf("a range = %d %s", g.status, g.body)
	}
	tag := n.send("GET", "/site/app.js", "").header.Get("Etag")
	if g := n.send("GET", "/site/app.js", "", "If-None-Match", tag); g.status != http.StatusNotModified || g.header.Get("Etag") != tag {
		t.Errorf("what the client has = %d %v", g.status, g.header)
	}
	if other := n.send("GET", "/site/alias.js", "").header.Get("Etag"); other != tag {
		t.Errorf("the same content has the tags %s and %s", tag, other)
	}
	if len(n.records(function.TopicRequests)) != 0 {
		t.Error("files that were read are in the record of calls")
	}
}

// TestFilesDuringARollout: a page of the new version finds its own files, though the primary is the old one.
func TestFilesDuringARollout(t *testing.T) {
	one, two := codeOf(t, map[string]string{"public/index.html": "one", "public/one.js": "1"}), codeOf(t, map[string]string{"public/index.html": "two", "public/two.js": "2"})
	n := start(t, says(""), shows(map[string]string{"sha256:01": one, "sha256:02": two}))
	for _, code := range []string{"sha256:01", "sha256:02"} {
		v := function.Version{Code: code, Spec: function.Spec{Name: "f", Entry: function.Entry{Type: function.EntryHTTP}, Triggers: []function.Trigger{files("/{path...}", function.Static{Dir: "public", SPA: true})}}}
		if _, err := n.catalog.Submit(t.Context(), catalog.Deploy{Version: v}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.catalog.Submit(t.Context(), catalog.Shift{Function: "f", Alias: function.Alias{Name: function.LiveAlias, Primary: 1, Weights: map[int]int{2: 10}}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "one", "/one.js": "1", "/two.js": "2", "/orders/7": "one"} {
		if g := n.send("GET", path, ""); g.status != 200 || g.body != want {
			t.Errorf("GET %s = %d %s, want %s", path, g.status, g.body, want)
		}
	}
	if g := n.send("GET", "/three.js", ""); g.status != 404 {
		t.Errorf("a file that is nowhere = %d %s, want 404 and no page", g.status, g.body)
	}
	n.deploy("g", files("/other/{path...}", function.Static{Dir: "public"})) // its code is not here
	if g := n.send("GET", "/other/x", ""); g.status != 503 {
		t.Errorf("a file of code that is not on this node = %d, want 503", g.status)
	}
}
