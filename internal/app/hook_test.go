package app_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// TestKilledWhileAHookIsDelivered kills the node at random moments after it has answered 202: after the next start the commit is live,
// without anybody telling of it again.
func TestKilledWhileAHookIsDelivered(t *testing.T) {
	t.Parallel()
	need.Program(t, "git")
	rounds := 6
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 60
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	origin := start(t, t.TempDir()) // another node is the git server
	dir, data := t.TempDir(), t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=Jane", "GIT_AUTHOR_EMAIL=jane@example.com", "GIT_COMMITTER_NAME=Jane", "GIT_COMMITTER_EMAIL=jane@example.com",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	secret := strings.Repeat("s", 32)
	n := start(t, data)
	control, token := origin.client.Address()
	for name, value := range map[string]string{"shop-hook": secret, "shop-token": "jane:" + token} {
		if _, err := n.client.SetSecret(t.Context(), name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	hook := function.Hook{Name: "shop", Provider: function.ProviderGitHub, URL: control + "/git/shop", Secret: "shop-hook", Token: "shop-token", NoStatus: true}
	if _, err := n.client.SetHook(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	before := strings.Repeat("0", 40)
	for round := range rounds {
		for file, text := range map[string]string{"dalamb.yaml": "name: one\nentry: {type: stdio, command: [/bin/sh, main.sh]}\n", "main.sh": fmt.Sprintf("echo %d\n", round)} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", ".")
		git("commit", "-q", "-m", fmt.Sprint(round))
		git("push", "-q", origin.remote(), "main")
		id := git("rev-parse", "HEAD")
		if err := tell(n, secret, fmt.Sprintf(`{"ref":"refs/heads/main","before":%q,"after":%q}`, before, id)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		before = id
		select {
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
		case <-n.done:
			t.Fatalf("the node ended by itself: %v\n%s", n.err, n.log)
		}
		n.kill()
		n = start(t, data)
		until(t, "what was told to be delivered", func() bool {
			h, err := n.client.Hook(t.Context(), "shop")
			return err == nil && len(h.Deliveries) > 0 && h.Deliveries[0].After == id && h.Deliveries[0].State == function.HookDelivered
		})
		n.liveFrom(id, []string{"one"})
	}
	left, err := filepath.Glob(filepath.Join(data, "git", "remotes", "*", "*.lock"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
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
