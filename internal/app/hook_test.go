package app_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// hooked is a node with the hook shop, of a repository on another node.
type hooked struct {
	*node
	origin *node
	work   string // directory with a working copy of the repository
	last   string // commit that was told of
}

const hookSecret = "0123456789abcdef0123456789abcdef"

func newHooked(t *testing.T) *hooked {
	t.Helper()
	need.Program(t, "git")
	h := &hooked{origin: start(t, t.TempDir()), work: t.TempDir(), last: strings.Repeat("0", 40)}
	h.node = start(t, t.TempDir())
	h.git("init", "-q", "-b", "main")
	control, token := h.origin.client.Address()
	for name, value := range map[string]string{"shop-hook": hookSecret, "shop-token": "jane:" + token} {
		if _, err := h.client.SetSecret(t.Context(), name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	hook := function.Hook{Name: "shop", Provider: function.ProviderGitHub, URL: control + "/git/shop", Secret: "shop-hook", Token: "shop-token", NoStatus: true}
	if _, err := h.client.SetHook(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hooked) git(args ...string) string {
	h.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = h.work
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Jane", "GIT_AUTHOR_EMAIL=jane@example.com", "GIT_COMMITTER_NAME=Jane", "GIT_COMMITTER_EMAIL=jane@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pushed commits a function that says a word, pushes it to the other node, and tells of it.
func (h *hooked) pushed(word, manifest string) (commit string) {
	h.t.Helper()
	for file, text := range map[string]string{"dalamb.yaml": "name: one\nentry: {type: stdio, command: [/bin/sh, main.sh]}\n" + manifest, "main.sh": "echo '\"" + word + "\"'\n"} {
		if err := os.WriteFile(filepath.Join(h.work, file), []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
	h.git("add", ".")
	h.git("commit", "-q", "-m", word)
	h.git("push", "-q", h.origin.remote(), "main")
	commit = h.git("rev-parse", "HEAD")
	h.told("refs/heads/main", h.last, commit)
	h.last = commit
	return commit
}

func (h *hooked) told(ref, before, after string) {
	h.t.Helper()
	if err := tell(h.node, hookSecret, fmt.Sprintf(`{"ref":%q,"before":%q,"after":%q}`, ref, before, after)); err != nil {
		h.t.Fatal(err)
	}
}

// again kills the node and starts another one with its data.
func (h *hooked) again() {
	h.t.Helper()
	h.kill()
	h.node = start(h.t, h.data)
}

// state is that of the newest delivery of a commit on a ref; "" = there is none.
func (h *hooked) state(ref, commit string) string {
	h.t.Helper()
	shown, err := h.client.Hook(h.t.Context(), "shop")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range shown.Deliveries {
		if d.Ref == ref && d.After == commit {
			return d.State
		}
	}
	return ""
}

// TestKilledWhileAHookIsDelivered kills the node at random moments after it has answered 202: after the next start the commit is live,
// without anybody telling of it again.
func TestKilledWhileAHookIsDelivered(t *testing.T) {
	t.Parallel()
	rounds := 6
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 60
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	h := newHooked(t)
	for round := range rounds {
		id := h.pushed(fmt.Sprint(round), "")
		select {
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
		case <-h.done:
			t.Fatalf("the node ended by itself: %v\n%s", h.err, h.log)
		}
		h.again()
		until(t, "what was told to be delivered", func() bool { return h.state("refs/heads/main", id) == function.HookDelivered })
		h.liveFrom(id, []string{"one"})
	}
	left, err := filepath.Glob(filepath.Join(h.data, "git", "remotes", "*", "*.lock"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// A delivery is over when its roll-out is, also for a node that was started in the middle of it and finds the version there.
func TestADeliveryWaitsForItsRolloutAfterAKill(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	one := h.pushed("one", "")
	until(t, "the first commit to be delivered", func() bool { return h.state("refs/heads/main", one) == function.HookDelivered })
	if _, err := h.origin.client.Remove(t.Context(), "one"); err != nil { // else the push waits for a roll-out there
		t.Fatal(err)
	}
	two := h.pushed("two", "rollout: {strategy: canary, steps: [50%], every: 1h}\n")
	rolling := func() bool {
		r, err := h.client.Rollout(t.Context(), "one", "live")
		return err == nil && r.State == function.RolloutRunning && r.Weight == 50
	}
	until(t, "the roll-out to have half of the traffic", rolling)
	for range 2 {
		h.again()
		until(t, "the roll-out to go on", rolling)
		tag := fmt.Sprintf("v%d", time.Now().UnixNano())
		h.git("tag", tag)
		h.git("push", "-q", h.origin.remote(), tag)
		h.told("refs/tags/"+tag, strings.Repeat("0", 40), two)
		until(t, "a later delivery to be over", func() bool { return h.state("refs/tags/"+tag, two) == function.HookDelivered })
		if state := h.state("refs/heads/main", two); state != function.HookWaiting {
			t.Fatalf("while it is rolled out, the delivery is %s", state)
		}
	}
	if _, err := h.client.AbortRollout(t.Context(), "one", "live"); err != nil {
		t.Fatal(err)
	}
	until(t, "the delivery to be over", func() bool { return h.state("refs/heads/main", two) != function.HookWaiting })
	if state := h.state("refs/heads/main", two); state != function.HookFailed {
		t.Errorf("the roll-out was aborted, and the delivery is %s", state)
	}
	if list, err := h.client.Rollouts(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d roll-outs, %v, want one", len(list), err)
	}
}

// TestTheServerIsToldWhatCameOfACommit has a server in the place of GitHub's API: each commit that is told of gets its statuses there.
func TestTheServerIsToldWhatCameOfACommit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string][]string{} // by commit
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s struct{ State, Context, Description string }
		commit, is := strings.CutPrefix(r.URL.Path, "/repos/git/shop/statuses/")
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil || !is || r.Method != http.MethodPost || s.Context != "dalamb" {
			t.Errorf("%s %s with %+v, %v; want a status of a commit", r.Method, r.URL, s, err)
		}
		mu.Lock()
		defer mu.Unlock()
		told[commit] = append(told[commit], s.State+": "+s.Description)
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(api.Close)
	statuses := func(commit string) string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told[commit], "\n")
	}
	h := newHooked(t)
	control, _ := h.origin.client.Address()
	hook := function.Hook{Name: "shop", Provider: function.ProviderGitHub, URL: control + "/git/shop", Secret: "shop-hook", Token: "shop-token", API: api.URL}
	if _, err := h.client.SetHook(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	good := h.pushed("one", "")
	until(t, "the first commit to be told of", func() bool { return strings.Contains(statuses(good), "success") })
	if got := statuses(good); !strings.HasPrefix(got, "pending: ") || !strings.Contains(got, "success: ") || !strings.Contains(got, "one version 1") {
		t.Errorf("the server was told\n%s\nwant that the commit is under way, and then delivered", got)
	}
	if _, err := h.origin.client.SetSecret(t.Context(), "two", []byte("x")); err != nil { // which this node has not
		t.Fatal(err)
	}
	bad := h.pushed("two", "secrets: [{name: two, env: X}]\n")
	until(t, "the second commit to be told of", func() bool { return strings.Contains(statuses(bad), "failure") })
	if got := statuses(bad); !strings.Contains(got, "two") {
		t.Errorf("the server was told\n%s\nwant that the secret two is not there", got)
	}
}

// tell sends a push as GitHub does.
func tell(n *node, secret, body string) error {
	r, err := http.NewRequest(http.MethodPost, n.gateway+"/_/hooks/github/shop", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		return errors.New(res.Status)
	}
	return nil
}
