package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// elsewhere is another git server, with the repository acme/shop, which wants a token.
type elsewhere struct {
	*work
	url    string
	asked  atomic.Int64                                                      // requests
	before atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true = answered; nil = nothing comes before git
}

const elsewhereToken = "s3cret-of-elsewhere"

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{work: newWork(t)}
	root := t.TempDir()
	bare := filepath.Join(root, "acme", "shop.git")
	e.git("init", "-q", "--bare", "-b", "main", bare)
	e.git("--git-dir="+bare, "config", "http.receivepack", "true")
	e.git("remote", "add", "origin", bare)
	backend := &cgi.Handler{
		Path: need.Program(t, "git"), Args: []string{"http-backend"}, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.asked.Add(1)
		if before := e.before.Load(); before != nil && *before != nil && (*before)(w, r) {
			return
		}
		if user, password, _ := r.BasicAuth(); user != "x-access-token" || password != elsewhereToken {
			w.Header().Set("WWW-Authenticate", `Basic realm="elsewhere"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if p := r.Header.Get("Git-Protocol"); p != "" {
			withProtocol := *backend
			withProtocol.Env = append(withProtocol.Env, "GIT_PROTOCOL="+p)
			withProtocol.ServeHTTP(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	e.url = web.URL + "/acme/shop.git"
	return e
}

// told is what e tells of a branch.
func (e *elsewhere) told(ref, before, after string) Remote {
	return Remote{
		Hook: "shop", URL: e.url, Repository: "elsewhere.example/acme/shop", Ref: ref, Before: before, After: after, Pusher: "jane", ID: "id-" + short(after) + ref,
		Link:   "https://elsewhere.example/acme/shop/commit/" + after,
		Access: func() (Access, error) { return Access{User: "x-access-token", Password: elsewhereToken}, nil },
	}
}

func (h *host) bring(r Remote) ([]string, error) {
	in := h.server.Announce(r)
	err := in.Bring(context.Background())
	return in.Said(), err
}

func (h *host) mirrors() []string { return h.kept("remotes") }

// kept are the repositories in a directory of the server.
func (h *host) kept(dir string) []string {
	h.t.Helper()
	list, err := filepath.Glob(filepath.Join(h.dir, "git", dir, "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func newRemoteHost(t *testing.T) *host {
	h := newHost(t)
	h.server.remoteWait = time.Millisecond
	return h
}

func TestACommitOfAnotherServerIsDelivered(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("Take orders", shop())
	e.pushed("origin", "main")
	said, err := h.bring(e.told("refs/heads/main", "", one))
	if err != nil {
		t.Fatalf("Bring = %v (%s)", err, fault.HintOf(err))
	}
	wantText(t, strings.Join(said, "\n"), "main "+short(one)+" (Jane <jane@example.com>: Take orders)", "pay                  version 1 (live)  deployed", "web                  version 1 (live)  deployed")
	want := function.Origin{
		Kind: function.OriginWebhook, Repository: "elsewhere.example/acme/shop", Commit: one, Branch: "main", Author: "Jane <jane@example.com>", Pusher: "jane",
		URL: "https://elsewhere.example/acme/shop/commit/" + one,
	}
	if got := *h.deployed("pay").Origin; got != want {
		t.Errorf("origin %+v, want %+v", got, want)
	}
	two := e.commit("Say two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	e.pushed("origin", "main")
	for range 2 {
		if said, err = h.bring(e.told("refs/heads/main", one, two)); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, strings.Join(said, "\n"), short(two)+" is delivered already")
	if v := h.Primary("pay", "live"); v != 2 {
		t.Errorf("pay is at version %d, want 2", v)
	}
	if v := h.Primary("web", "live"); v != 1 {
		t.Errorf("web is at version %d, want 1", v)
	}
	ev := h.events[1]
	var d Pushed
	if err := json.Unmarshal(ev.Data, &d); err != nil || ev.Type != event.TypeGitPushed || ev.Source != "/dalamb/hooks/shop" || d.Before != one || d.After != two || d.Forced {
		t.Errorf("event %s of %s: %+v, %v", ev.Type, ev.Source, d, err)
	}
	if len(h.events) != 2 || ev.ID != e.told("refs/heads/main", one, two).ID {
		t.Errorf("%d events, the second with the id %s", len(h.events), ev.ID)
	}
	leavesNothing(t, h)
}

// leavesNothing looks for credentials and half-fetched things.
func leavesNothing(t *testing.T, h *host) {
	t.Helper()
	err := filepath.Walk(filepath.Join(h.dir, "git"), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), elsewhereToken) || strings.HasSuffix(path, ".lock") || strings.Contains(path, "/tmp_") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.server.tmp(), "[a-d,f-z]*")); left != nil {
		t.Errorf("left in tmp: %q", left)
	}
}

const previewManifest = "name: web\nentry: {type: http, command: [python3, main.py]}\ndeliver: {branches: {main: live, \"feature/*\": \"preview/*\"}}\n"

func TestABranchOfAnotherServerGoesWithItsAlias(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("Previews", map[string]string{"dalamb.yaml": previewManifest, "main.py": "print(1)\n"})
	e.pushed("origin", "main", "main:feature/x")
	if _, err := h.bring(e.told("refs/heads/feature/x", "", one)); err != nil {
		t.Fatal(err)
	}
	if h.Primary("web", "preview/x") != 1 || h.Primary("web", "live") != 0 {
		t.Fatalf("preview/x at %d, live at %d", h.Primary("web", "preview/x"), h.Primary("web", "live"))
	}
	// Somebody says that it is gone, and it is not: an old request, sent again.
	if _, err := h.bring(e.told("refs/heads/feature/x", "another", "")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("Bring = %v, want ErrSuperseded", err)
	}
	if h.Primary("web", "preview/x") != 1 {
		t.Error("the alias of a branch that is there is gone")
	}
	e.pushed("origin", ":feature/x")
	said, err := h.bring(e.told("refs/heads/feature/x", one, ""))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, strings.Join(said, "\n"), "feature/x is deleted", "alias preview/x is removed; its versions stay")
	if h.Primary("web", "preview/x") != 0 {
		t.Error("the alias is left")
	}
	if left := h.mirrors(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestWhatIsToldOfAndNotThere(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	two := e.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	e.pushed("origin", "main")
	if _, err := h.bring(e.told("refs/heads/main", "", two)); err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("ab", 20)
	for _, c := range []struct {
		name       string
		told       Remote
		superseded bool
		says       string
	}{
		{"an old push", e.told("refs/heads/main", "", one), true, "main of elsewhere.example/acme/shop is at " + short(two) + ", not " + short(one)},
		{"a commit that was replaced", e.told("refs/heads/main", one, other), true, "not " + short(other)},
		{"a branch that is gone", e.told("refs/heads/gone", one, two), true, "gone of elsewhere.example/acme/shop is gone, so that " + short(two) + " is not delivered"},
		{"a branch that was deleted and made again", e.told("refs/heads/main", one, ""), true, "main of elsewhere.example/acme/shop was deleted, and is there again, at " + short(two)},
		{"a branch that was made again at the same commit", e.told("refs/heads/main", two, ""), false, "was deleted, and is still there or there again, at " + short(two)},
		{"a branch whose commit nobody told", e.told("refs/heads/main", "", ""), false, "was deleted, and is still there or there again, at " + short(two)},
		{"a commit that does not come", e.told("refs/heads/main", two, other), false, "does not show " + short(other) + " yet"},
		{"a name within a name", e.told("refs/heads/x", one, two), true, "x of elsewhere.example/acme/shop is gone"},
	} {
		e.pushed("-f", "origin", "main:y/refs/heads/x")
		_, err := h.bring(c.told)
		if err == nil || errors.Is(err, ErrSuperseded) != c.superseded || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Bring = %v, want %q, superseded %v", c.name, err, c.says, c.superseded)
		}
		if pushed := strings.Contains(err.Error(), "a newer push"); pushed != (c.superseded && strings.Contains(err.Error(), " is at ")) {
			t.Errorf("%s: Bring = %v, which speaks of a newer push: %v", c.name, err, pushed)
		}
	}
	if h.Primary("pay", "live") != 1 || len(h.events) != 1 {
		t.Errorf("pay is at version %d after %d events, want 1 and 1", h.Primary("pay", "live"), len(h.events))
	}
	// A server that tells before it knows.
	three := e.commit("Three", map[string]string{"pay/pay.sh": "#!/bin/sh\necho three\n"})
	asked := e.asked.Load()
	late := func(http.ResponseWriter, *http.Request) bool {
		if e.asked.Load() == asked+3 {
			e.pushed("origin", "main")
		}
		return false
	}
	e.before.Store(&late)
	if _, err := h.bring(e.told("refs/heads/main", two, three)); err != nil || h.Primary("pay", "live") != 2 {
		t.Errorf("Bring = %v, pay is at version %d, want 2", err, h.Primary("pay", "live"))
	}
	leavesNothing(t, h)
}

// What git refuses to keep is refused at once, with what git has against it: the commit stays what it is.
func TestACommitThatGitRefusesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	e.commit("One", shop())
	e.plant(t, "40000", ".git", e.git("rev-parse", "HEAD:pay"))
	e.pushed("origin", "HEAD:main")
	in := h.server.Announce(e.told("refs/heads/main", "", e.git("rev-parse", "HEAD")))
	err := in.Bring(t.Context())
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "contains '.git'") || in.Tries() != 1 {
		t.Errorf("Bring = %v after %d tries, want what git has against it after 1", err, in.Tries())
	}
	leavesNothing(t, h)
}

func TestAForcedPushAndATag(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	if _, err := h.bring(e.told("refs/heads/main", "", one)); err != nil {
		t.Fatal(err)
	}
	e.git("commit", "-q", "--amend", "-m", "Other")
	two := e.git("rev-parse", "HEAD")
	e.pushed("-f", "origin", "main")
	told := e.told("refs/heads/main", one, two)
	told.Forced = true
	if _, err := h.bring(told); err != nil {
		t.Fatal(err)
	}
	var d Pushed
	if err := json.Unmarshal(h.events[1].Data, &d); err != nil || !d.Forced || d.Commit.ID != two {
		t.Errorf("event %+v, %v", d, err)
	}
	e.git("tag", "-a", "-m", "First", "v1")
	e.pushed("origin", "v1")
	for _, id := range []string{two, e.git("rev-parse", "v1")} { // some tell the commit, some the tag
		said, err := h.bring(e.told("refs/tags/v1", "", id))
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, strings.Join(said, "\n"), "tag v1", "tags are kept; branches are delivered")
	}
	if left := h.mirrors(); len(left) != 1 {
		t.Errorf("%d repositories are kept, want that of main", len(left))
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	told := e.told("refs/heads/main", "", one)
	for _, c := range []struct {
		name   string
		before func(w http.ResponseWriter, r *http.Request) bool
		url    string
		access Access
		says   string
	}{
		{name: "a wrong token", access: Access{User: "x-access-token", Password: "wr0ng-token"}, says: "could not read Username"},
		{name: "no token", says: "could not read Username"},
		{name: "another repository", url: strings.Replace(e.url, "shop", "toys", 1), access: Access{User: "x-access-token", Password: elsewhereToken}, says: "not found"},
		{name: "a redirect", before: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusMovedPermanently)
			return true
		}, access: Access{User: "x-access-token", Password: elsewhereToken}, says: "returned error: 301"},
		{name: "no git", before: func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>\x1b[31m")
			return true
		}, says: "does not show"},
		{name: "an address of the cloud", url: "http://169.254.169.254/acme/shop", says: "169.254.169.254 is no address of a git server"},
		{name: "files of this machine", url: "file:///etc", says: "is not found"},
	} {
		e.before.Store(&c.before)
		one := told
		if c.url != "" {
			one.URL = c.url
		}
		one.Access = func() (Access, error) { return c.access, nil }
		said, err := h.bring(one)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), elsewhereToken) || strings.Contains(err.Error(), "\x1b") || len(said) > 0 {
			t.Errorf("%s: Bring = %v, said %q, want %q", c.name, err, said, c.says)
		}
		if strings.Contains(fmt.Sprint(err), "git cannot fetch") && !strings.HasPrefix(fault.HintOf(err), "dalamb hook test "+one.Hook+" tries it again; ") {
			t.Errorf("%s: the hint is %q, want it to name the hook %s", c.name, fault.HintOf(err), one.Hook)
		}
	}
	if len(h.events) != 0 || len(h.mirrors()) != 0 {
		t.Errorf("%d events, %d repositories, want none", len(h.events), len(h.mirrors()))
	}
	// It comes back.
	asked := e.asked.Load()
	down := func(w http.ResponseWriter, _ *http.Request) bool {
		if e.asked.Load() < asked+4 {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	e.before.Store(&down)
	if _, err := h.bring(told); err != nil {
		t.Errorf("Bring = %v, when the server is there again", err)
	}
	leavesNothing(t, h)
}

func TestWhatIsFetchedIsBounded(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	h.server.maxPush = 1 << 20
	big := make([]byte, 3<<20)
	if _, err := rand.NewChaCha8([32]byte{}).Read(big); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "big"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	one := e.commit("Big", shop())
	e.pushed("origin", "main")
	_, err := h.bring(e.told("refs/heads/main", "", one))
	if fault.KindOf(err) != fault.TooLarge || !strings.Contains(err.Error(), "more than 1 MiB") {
		t.Errorf("Bring = %v, want that it is too large", err)
	}
	if left := h.mirrors(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// A newer push ends an older one that waits; what is announced first is older, whoever begins first.
func TestTheNewestOfTwoWins(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	two := e.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	older := h.server.Announce(e.told("refs/heads/main", "", one))
	newer := h.server.Announce(e.told("refs/heads/main", one, two))
	e.pushed("origin", "main")
	if err := newer.Bring(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := older.Bring(context.Background()); !errors.Is(err, ErrSuperseded) {
		t.Errorf("Bring of the older one = %v, want ErrSuperseded", err)
	}
	// While one deploys, a newer one waits.
	gate, inside := make(chan struct{}), make(chan struct{})
	h.platform.gate = func(_ context.Context, req wire.DeployRequest) error {
		if req.Origin.Branch == "main" && req.Spec.Name == "pay" {
			inside <- struct{}{}
			<-gate
		}
		return nil
	}
	three := e.commit("Three", map[string]string{"pay/pay.sh": "#!/bin/sh\necho three\n"})
	e.pushed("origin", "main")
	older = h.server.Announce(e.told("refs/heads/main", two, three))
	olderDone := make(chan error, 1)
	go func() { olderDone <- older.Bring(context.Background()) }()
	<-inside
	four := e.commit("Four", map[string]string{"pay/pay.sh": "#!/bin/sh\necho four\n"})
	e.pushed("origin", "main")
	newerDone := make(chan error, 1)
	go func() {
		newerDone <- h.server.Announce(e.told("refs/heads/main", three, four)).Bring(context.Background())
	}()
	gate <- struct{}{}
	if err := <-olderDone; err != nil {
		t.Errorf("Bring of what deploys = %v", err)
	}
	<-inside
	gate <- struct{}{}
	if err := <-newerDone; err != nil || h.deployed("pay").Origin.Commit != four {
		t.Errorf("Bring = %v, pay comes from %s, want %s", err, short(h.deployed("pay").Origin.Commit), short(four))
	}
}

func TestWhatHooksAreNoMoreIsDropped(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	for _, hook := range []string{"shop", "shop-2"} {
		told := e.told("refs/heads/main", "", one)
		told.Hook = hook
		if _, err := h.bring(told); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.server.DropRemotes(context.Background(), func(hook string) bool { return hook == "shop" }); err != nil {
		t.Fatal(err)
	}
	if left := h.mirrors(); len(left) != 1 || !strings.HasPrefix(filepath.Base(left[0]), "shop-") || strings.HasPrefix(filepath.Base(left[0]), "shop-2-") {
		t.Errorf("left: %q, want that of shop", left)
	}
}

// An old request that somebody sends again, under another id, comes later than what is under way and must not end that.
func TestAnOldRequestSentAgainEndsNothing(t *testing.T) {
	t.Parallel()
	h, e := newRemoteHost(t), newElsewhere(t)
	one := e.commit("One", shop())
	two := e.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	e.pushed("origin", "main")
	checking, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.platform.refuse = func(wire.DeployRequest) error {
		once.Do(func() {
			close(checking)
			<-gate
		})
		return nil
	}
	done := make(chan error, 1)
	go func() {
		done <- h.server.Announce(e.told("refs/heads/main", one, two)).Bring(context.Background())
	}()
	<-checking
	for _, old := range []Remote{e.told("refs/heads/main", "", one), e.told("refs/heads/main", one, ""), e.told("refs/heads/main", strings.Repeat("ab", 20), strings.Repeat("cd", 20))} {
		if _, err := h.bring(old); !errors.Is(err, ErrSuperseded) {
			t.Errorf("Bring of what was told before = %v, want ErrSuperseded", err)
		}
	}
	close(gate)
	if err := <-done; err != nil || h.deployed("pay").Origin.Commit != two {
		t.Errorf("Bring of what was under way = %v, want it delivered", err)
	}
}

// A server that never answers holds up its own hook.
func TestAServerThatHangsHoldsUpItsOwnHookAlone(t *testing.T) {
	t.Parallel()
	h, slow, e := newRemoteHost(t), newElsewhere(t), newElsewhere(t)
	one := e.commit("One", shop())
	e.pushed("origin", "main")
	asked, gate := make(chan struct{}, 100), make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) bool {
		asked <- struct{}{}
		<-gate
		return false
	}
	slow.before.Store(&hang)
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	for i := range 3 * maxLooking {
		told := slow.told(fmt.Sprintf("refs/heads/b%d", i), "", one)
		told.Hook = "slow"
		waiting.Go(func() {
			if err := h.server.Announce(told).Bring(ctx); err == nil {
				t.Error("what hangs was delivered")
			}
		})
	}
	for range lookingOfHook {
		<-asked
	}
	if _, err := h.bring(e.told("refs/heads/main", "", one)); err != nil {
		t.Errorf("Bring by another hook = %v", err)
	}
	cancel()
	close(gate)
	waiting.Wait()
	if len(h.server.looking.hooks)+len(h.server.fetching.hooks) != 0 {
		t.Errorf("places are left: %v, %v", h.server.looking.hooks, h.server.fetching.hooks)
	}
}
