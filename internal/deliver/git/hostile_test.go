package git

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

func TestWhatIsAskedForOverHTTP(t *testing.T) {
	h := newHost(t)
	newWork(t).repositoryOn(h)
	const adv, receive, upload = "/info/refs?service=git-receive-pack", "/git-receive-pack", "/git-upload-pack"
	gz := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.String()
	}
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		said                     string
	}{
		{name: "no token", method: "GET", path: "/git/shop" + adv, header: map[string]string{"Authorization": ""}, status: 401, said: "the token is missing or wrong"},
		{name: "wrong token", method: "POST", path: "/git/shop" + receive, header: map[string]string{"Authorization": "Basic eDp5"}, status: 401, said: "hint: give any user name"},
		{name: "refs", method: "GET", path: "/git/shop" + adv, status: 200, said: "refs/heads/main"},
		{name: "refs of none, to push to", method: "GET", path: "/git/none.git" + adv, status: 200, said: "capabilities^{}"},
		{name: "refs of none, to fetch from", method: "GET", path: "/git/none/info/refs?service=git-upload-pack", status: 404, said: `there is no repository "none"`},
		{name: "a file", method: "GET", path: "/git/shop/config", status: 404, said: "there is nothing at /git/shop/config"},
		{name: "the dumb protocol", method: "GET", path: "/git/shop/info/refs", status: 403, said: "too old"},
		{name: "another service", method: "GET", path: "/git/shop/info/refs?service=git-upload-archive", status: 404},
		{name: "an option as service", method: "GET", path: "/git/shop/info/refs?service=--help", status: 404},
		{name: "no repository", method: "GET", path: "/git/", status: 404, said: "repositories are at /git/NAME"},
		{name: "a way up", method: "GET", path: "/git/%2e%2e" + adv, status: 400, said: "is no name"},
		{name: "a way up in a name", method: "POST", path: "/git/a..b" + receive, status: 400, said: "is no name"},
		{name: "an option as name", method: "GET", path: "/git/--upload-pack=x" + adv, status: 400, said: "is no name"},
		{name: "a hidden directory", method: "GET", path: "/git/.hidden" + adv, status: 400},
		{name: "a slash in a name", method: "GET", path: "/git/a%2fb" + adv, status: 404},
		{name: "a zero byte", method: "GET", path: "/git/a%00" + adv, status: 400},
		{name: "a long name", method: "GET", path: "/git/" + strings.Repeat("a", 101) + adv, status: 400},
		{name: "wrong method", method: "PUT", path: "/git/shop" + receive, status: 404},
		{name: "no git at the other end", method: "POST", path: "/git/shop" + receive, header: map[string]string{"Content-Type": "text/plain"}, status: 400, said: "not for browsers"},
		{name: "not gzip", method: "POST", path: "/git/shop" + upload, body: "x", header: map[string]string{"Content-Encoding": "gzip"}, status: 400, said: "gzip"},
		{name: "half a gzip", method: "POST", path: "/git/shop" + upload, body: gz(strings.Repeat("0000", 100))[:20], header: map[string]string{"Content-Encoding": "gzip"}, status: 400, said: "no whole gzip"},
		{name: "a bomb", method: "POST", path: "/git/shop" + upload, body: gz(strings.Repeat("0", maxWants+1)), header: map[string]string{"Content-Encoding": "gzip"}, status: 413, said: "unpacked"},
		{name: "the question of a client whether it may push", method: "POST", path: "/git/shop" + receive, body: "0000", status: 200},
		{name: "nonsense", method: "POST", path: "/git/shop" + receive, body: "zzzz", status: 200},
		{name: "a version of the protocol that is none", method: "GET", path: "/git/shop/info/refs?service=git-upload-pack", header: map[string]string{"Git-Protocol": "version=2:x=$(id)"}, status: 200, said: "# service=git-upload-pack"},
		{name: "version 2", method: "GET", path: "/git/shop/info/refs?service=git-upload-pack", header: map[string]string{"Git-Protocol": "version=2"}, status: 200, said: "000eversion 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.SetBasicAuth("x", testToken)
			service := upload
			if strings.HasSuffix(c.path, receive) {
				service = receive
			}
			r.Header.Set("Content-Type", "application/x-"+service[1:]+"-request")
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.server.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.said) {
				t.Errorf("answer %d\n%s\nwant %d with %q", w.Code, w.Body, c.status, c.said)
			}
			if c.status >= 400 && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("the answer is %s, which git does not show", w.Header().Get("Content-Type"))
			}
		})
	}
	list, err := os.ReadDir(filepath.Join(h.dir, "git", "repositories"))
	if err != nil || len(list) != 1 {
		t.Errorf("repositories are %v, %v, want shop alone", list, err)
	}
}

// repositoryOn pushes a first commit.
func (w *work) repositoryOn(h *host) *work {
	w.t.Helper()
	w.commit("first", shop())
	w.pushed(h.url, "main")
	return w
}

func TestWithoutGitTheAnswerSaysSo(t *testing.T) {
	h := newHost(t)
	s, err := Open(Options{Dir: t.TempDir(), Who: func(string) (access.Actor, error) { return access.Own(), nil }, Deployer: h.platform, Code: h.code, Log: h.platform})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/git/shop/info/refs?service=git-receive-pack", nil))
	if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), "hint: install git") {
		t.Errorf("answer %d %s, want 501 that says what to do", w.Code, w.Body)
	}
}

func TestAPushThatIsTooLarge(t *testing.T) {
	h, w := newHost(t), newWork(t)
	h.server.maxPush = 1 << 20
	noise := make([]byte, 3<<20)
	rand.Read(noise)
	files := shop()
	files["pay/noise"] = string(noise)
	w.commit("first", files)
	said, ok := w.push(h.url, "main")
	wantText(t, said, "HTTP 413")
	if ok || len(h.versions) != 0 {
		t.Errorf("the push: %v, versions %v; want it refused", ok, h.versions)
	}
}

// hostileTrees are trees that git itself does not make: each is a mode, a name and what it names.
func TestHostileTrees(t *testing.T) {
	for _, c := range []struct{ name, mode, path string }{
		{"a way up", "100644", ".."},
		{"git's own directory", "40000", ".git"},
		{"git's own directory, in other letters", "40000", ".GIT"},
		{"a path as name", "100644", "a/../../x"},
		{"no name", "100644", ""},
		{"a kind that there is not", "100600", "odd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, w := newHost(t), newWork(t)
			w.commit("first", shop())
			id := w.git("rev-parse", "HEAD:pay/pay.sh")
			if c.mode == "40000" {
				id = w.git("rev-parse", "HEAD:pay")
			}
			w.plant(t, c.mode, c.path, id)
			said, ok := w.push(h.url, "HEAD:main")
			if ok && c.name != "a kind that there is not" || !ok && len(h.versions) != 0 {
				t.Errorf("pushed: %v, versions %v\n%s", ok, h.versions, said)
			}
			above, err := filepath.Glob(filepath.Join(h.dir, "git", "*"))
			if err != nil || len(above) != 4 {
				t.Errorf("the server's directory holds %v, %v", above, err)
			}
		})
	}
}

// plant commits the tree of HEAD with one more entry, unchecked.
func (w *work) plant(t *testing.T, mode, name, id string) {
	t.Helper()
	cmd := w.command("cat-file", "tree", "HEAD^{tree}")
	tree, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, len(id)/2)
	if _, err := fmt.Sscanf(id, "%x", &raw); err != nil {
		t.Fatal(err)
	}
	tree = append(fmt.Appendf(nil, "%s %s\x00", mode, name), append(raw, tree...)...)
	hash := w.command("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	hash.Stdin = bytes.NewReader(tree)
	out, err := hash.Output()
	if err != nil {
		t.Fatal(err)
	}
	commit := w.git("commit-tree", "-m", "hostile", strings.TrimSpace(string(out)))
	w.git("update-ref", "HEAD", commit)
}

func TestASubmoduleIsNotFetched(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files[".gitmodules"] = "[submodule \"pay/lib\"]\n\tpath = pay/lib\n\turl = /etc\n"
	w.commit("first", files)
	w.git("update-index", "--add", "--cacheinfo", "160000,"+w.git("rev-parse", "HEAD")+",pay/lib")
	w.git("commit", "-q", "-m", "with a submodule")
	wantText(t, w.pushed(h.url, "main"), "warning: pay/lib is a submodule, which is not fetched")
	dir, err := h.code.Dir(h.deployed("pay").Code)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "lib")); !os.IsNotExist(err) {
		t.Errorf("pay/lib is in the code: %v", err)
	}
}

// Nothing of a repository changes what is checked out: no filter, no attribute, no line end.
func TestAttributesHaveNoSay(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files[".gitattributes"] = "* export-ignore\n*.sh text eol=crlf filter=evil ident\n"
	files["pay/pay.sh"] = "#!/bin/sh\n# $Id$ $Format:%H$\ncat\n"
	w.commit("first", files)
	w.pushed(h.url, "main")
	dir, err := h.code.Dir(h.deployed("pay").Code)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "pay.sh")); err != nil || string(text) != files["pay/pay.sh"] {
		t.Errorf("pay.sh is %q, %v; want it as it was committed", text, err)
	}
}

// What the user that the node runs as has set for git does not count, and what he may hook neither.
func TestTheUsersOwnGitIsNotAsked(t *testing.T) {
	home := t.TempDir()
	marker := filepath.Join(home, "marker")
	for name, text := range map[string]string{
		".gitconfig":    "[core]\n\thooksPath = " + home + "\n[receive]\n\tdenyDeletes = true\n[uploadpack]\n\tpackObjectsHook = " + home + "/post-receive\n",
		"post-receive":  "#!/bin/sh\ntouch " + marker + "\n",
		"update":        "#!/bin/sh\ntouch " + marker + "\n",
		"proc-receive":  "#!/bin/sh\ntouch " + marker + "\n",
		"post-checkout": "#!/bin/sh\ntouch " + marker + "\n",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	t.Setenv("GIT_DIR", home)
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
	t.Setenv("GIT_CONFIG_VALUE_0", home)
	h := newHost(t)
	w := newWork(t).repositoryOn(h)
	w.pushed(h.url, "main:topic")
	w.pushed(h.url, ":topic")
	newWork(t).git("clone", "-q", h.url, "copy")
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("a hook of the user's ran: %v", err)
	}
}

// Who runs git on the repository beside the node is not taken for it.
func TestAPushBesideTheNodeIsRefused(t *testing.T) {
	h := newHost(t)
	w := newWork(t).repositoryOn(h)
	w.commit("second", map[string]string{"web/main.py": "print(2)\n"})
	cmd := w.command("push", "--receive-pack", "git -c core.hooksPath="+filepath.Join(h.dir, "git", "home", "hooks")+" receive-pack",
		filepath.Join(h.dir, "git", "repositories", "shop.git"), "main")
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("it was taken:\n%s", out)
	}
}

func TestWhatAKilledNodeLeftIsRemoved(t *testing.T) {
	h := newHost(t)
	w := newWork(t).repositoryOn(h)
	repository := filepath.Join(h.dir, "git", "repositories", "shop.git")
	for _, name := range []string{"refs/heads/main.lock", "packed-refs.lock", "objects/tmp_objdir-incoming-x/pack/tmp_pack_y"} {
		at := filepath.Join(repository, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(h.server.tmp(), "body-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(h.dir, "git"), Program: h.server.program.path, Who: h.server.who, Deployer: h.platform, Code: h.code, Log: h.platform}); err != nil {
		t.Fatal(err)
	}
	w.commit("second", map[string]string{"web/main.py": "print(2)\n"})
	w.pushed(h.url, "main")
	if left, _ := filepath.Glob(filepath.Join(repository, "objects", "tmp_objdir*")); left != nil {
		t.Errorf("left: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(h.server.tmp(), "body*")); left != nil {
		t.Errorf("left: %v", left)
	}
}

func TestCodeIsBoundedBeforeItIsRead(t *testing.T) {
	many := make([]file, image.MaxEntries+1)
	for name, c := range map[string]struct {
		list []file
		said string
	}{
		"large": {[]file{{path: "a", size: 1}, {path: "huge", size: 10 << 30}}, `"huge" has 10240 MiB`},
		"sum":   {[]file{{path: "a", size: image.MaxBytes}, {path: "b", size: 1}}, `"b"`},
		"many":  {many, "50001 files"},
	} {
		if err := checkSize(c.list, "."); fault.KindOf(err) != fault.TooLarge || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s: checkSize = %v, want %q", name, err, c.said)
		}
	}
}

func FuzzReadQuestion(f *testing.F) {
	id := strings.Repeat("0a", 20)
	f.Add("/q\n" + id + " " + strings.Repeat("0", 40) + " refs/heads/main\n\n")
	f.Add("\n\n")
	f.Add("/q\n" + id + " " + id + " refs/notes/x\n\n")
	f.Add("/q\n" + id + " " + id + " refs/heads/a b\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, updates, err := readQuestion(strings.NewReader(text))
		if err != nil && updates != nil {
			t.Fatalf("readQuestion(%q) = %v and %v", text, updates, err)
		}
		for _, u := range updates {
			branch, ok := u.branch()
			if !ok && !strings.HasPrefix(u.ref, "refs/tags/") || strings.ContainsAny(branch, " \n\x00~^:?*[\\") {
				t.Fatalf("readQuestion(%q) takes the ref %q", text, u.ref)
			}
		}
	})
}

func FuzzReadFiles(f *testing.F) {
	f.Add([]byte("100644 blob 0a0a      12\ta/b\x00160000 commit 0b       -\tlib\x00"))
	f.Add([]byte("100644 blob 0a"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := readFiles(bytes.NewReader(text))
		if err == nil && len(list) != bytes.Count(text, []byte{0}) {
			t.Fatalf("readFiles(%q) = %d files", text, len(list))
		}
		for _, one := range list {
			if one.size < 0 || strings.Contains(one.path, "\x00") {
				t.Fatalf("readFiles(%q) has %+v", text, one)
			}
		}
	})
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte("tree 0a\nauthor Jane <j@example.com> 1700000000 +0100\ncommitter x\n\nTake orders\n\nmore\n"))
	f.Add([]byte("author \x1b[2J> 99999999999999999999 x\n\n\n\xff\xfe\u202e"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := parseCommit("0a", text)
		o := (&push{repository: "shop"}).origin(&change{commit: c, branch: "main"})
		if err := o.Validate(); err != nil {
			t.Fatalf("parseCommit(%q) = %+v, which is no origin: %v", text, c, err)
		}
		if printable(c.Subject) != c.Subject {
			t.Fatalf("parseCommit(%q) has the subject %q", text, c.Subject)
		}
	})
}

// A data directory may have any name, also with what parts paths in a variable.
func TestADirectoryWithAColon(t *testing.T) {
	h, w := newHost(t), newWork(t)
	var err error
	dir := filepath.Join(h.dir, "a:b")
	h.server.program.home = dir
	if err := h.server.program.configure(maxPush); err != nil {
		t.Fatal(err)
	}
	if h.server.repositories, err = openRepositories(filepath.Join(dir, "repositories"), h.server.tmp(), h.server.program); err != nil {
		t.Fatal(err)
	}
	w.repositoryOn(h)
	w.commit("second", map[string]string{"pay/pay.sh": "#!/bin/sh\necho 2\n"})
	wantText(t, w.pushed(h.url, "main"), "pay", "version 2")
}

// A token whose role does not deploy may not push; one that looks may fetch.
func TestRightsOfWhoPushes(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		token, service string
		status         int
		says           string
	}{
		{"viewer", receivePack, 403, "the token looks has the role viewer, which may not deploy"},
		{"viewer", uploadPack, 404, "shop"},
		{"shop-deployer", receivePack, 200, ""},
		{"nobody", receivePack, 401, "the token is missing or wrong"},
	} {
		url := strings.Replace(h.url, testToken, c.token, 1) + "/info/refs?service=" + c.service
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s as %s = %d %s, want %d with %q", c.service, c.token, resp.StatusCode, body, c.status, c.says)
		}
	}
}

// Who deploys some functions takes no alias away from another's by leaving it out of his commit.
func TestAliasOfAnothersFunctionStays(t *testing.T) {
	shop, _ := testWho("shop-deployer")
	c := &change{gone: []goneAlias{{Name: "shop-web", Alias: "x", own: true}, {Name: "pay", Alias: "x", own: true}, {Name: "ship", Alias: "live"}}}
	if err := c.mayRemove(access.With(t.Context(), shop)); fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), `not "pay"`) {
		t.Errorf("mayRemove = %v, want Denied that names pay alone", err)
	}
	if err := c.mayRemove(t.Context()); err != nil {
		t.Errorf("mayRemove by the node = %v", err)
	}
}
