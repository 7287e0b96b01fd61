package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestKilledWhileAPushIsDelivered kills the node at random moments of a push. Whatever the client was told, then: where the branch is at
// the new commit its functions are deployed, and where it is not the same push again makes it so.
func TestKilledWhileAPushIsDelivered(t *testing.T) {
	t.Parallel()
	need.Program(t, "git")
	rounds := 10
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data, dir := t.TempDir(), t.TempDir()
	git, must := gitIn(t, dir)
	must("init", "-q", "-b", "main")
	names := []string{"one", "two"}
	commit := func(round int) string {
		for _, name := range names {
			manifest := fmt.Sprintf("name: %s\nentry: {type: stdio, command: [/bin/sh, main.sh]}\n", name)
			for file, text := range map[string]string{"dalamb.yaml": manifest, "main.sh": fmt.Sprintf("echo %s %d\n", name, round)} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		must("add", ".")
		must("commit", "-q", "-m", fmt.Sprint(round))
		return must("rev-parse", "HEAD")
	}
	moved := 0
	for round := range rounds {
		n := start(t, data)
		id := commit(round)
		told := make(chan error, 1)
		go func() {
			_, err := git("push", n.remote(), "main")
			told <- err
		}()
		select {
		case <-time.After(time.Duration(random.IntN(250)) * time.Millisecond):
		case <-n.done:
			t.Fatalf("the node ended by itself: %v\n%s", n.err, n.log)
		}
		n.kill()
		accepted := <-told == nil

		n = start(t, data)
		refs, _ := git("ls-remote", n.remote(), "refs/heads/main") // the repository may not be there yet
		at := strings.HasPrefix(refs, id)
		if accepted && !at {
			t.Fatalf("round %d: the client was told that main is at %s, and it is not:\n%s", round, id, refs)
		}
		if a, b := n.liveOf(names[0]), n.liveOf(names[1]); a != b {
			t.Fatalf("round %d: %s is live from %q and %s from %q, which were pushed together", round, names[0], a, names[1], b)
		}
		if at {
			moved++
			n.liveFrom(id, names)
		}
		if out, err := git("push", n.remote(), "main"); err != nil {
			t.Fatalf("round %d: the push again: %v\n%s", round, err, out)
		}
		n.liveFrom(id, names)
		n.kill()
	}
	t.Logf("%d of %d pushes were accepted before the kill", moved, rounds)
}

// gitIn is a user's git in a directory, with nobody's settings; must fails the test with what git says.
func gitIn(t *testing.T, dir string) (git func(...string) (string, error), must func(...string) string) {
	git = func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=Jane", "GIT_AUTHOR_EMAIL=jane@example.com", "GIT_COMMITTER_NAME=Jane", "GIT_COMMITTER_EMAIL=jane@example.com",
		}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	must = func(args ...string) string {
		t.Helper()
		out, err := git(args...)
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	return git, must
}

// A node that is killed when a push is in the log and its branch has not moved: the same push again is that push, and another is one of its own.
// What keeps git from moving the branch until then is a lock, as of another git.
func TestAPushThatIsKilledBeforeItsBranchMovesIsToldOnce(t *testing.T) {
	t.Parallel()
	need.Program(t, "git")
	data, dir := t.TempDir(), t.TempDir()
	git, must := gitIn(t, dir)
	must("init", "-q", "-b", "main")
	commit := func(word string) string {
		for file, text := range map[string]string{"dalamb.yaml": "name: one\nentry: {type: stdio, command: [/bin/sh, main.sh]}\n", "main.sh": "echo " + word + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		must("add", ".")
		must("commit", "-q", "-m", word)
		return must("rev-parse", "HEAD")
	}
	n := start(t, data)
	one := commit("one")
	must("push", n.remote(), "main")
	two := commit("two")
	if err := os.WriteFile(filepath.Join(data, "git", "repositories", "shop.git", "refs", "heads", "main.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := git("push", n.remote(), "main"); err == nil {
		t.Fatalf("pushed in spite of the lock:\n%s", out)
	}
	n.kill()
	n = start(t, data)
	n.liveFrom(two, []string{"one"})
	must("push", n.remote(), "main")
	must("push", "--force", n.remote(), one+":main")
	must("push", n.remote(), "main")
	var steps []string
	ids := map[string]bool{}
	for _, e := range n.facts("events") {
		if e.Type != event.TypeGitPushed {
			continue
		}
		var p struct{ Before, After string }
		if err := json.Unmarshal(e.Data, &p); err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
		steps = append(steps, p.Before+" "+p.After)
	}
	if want := []string{" " + one, one + " " + two, two + " " + one, one + " " + two}; !slices.Equal(steps, want) || len(ids) != len(want) {
		t.Errorf("told were %q with %d ids, want %q, each with its own", steps, len(ids), want)
	}
}

// remote is the node's repository shop, as a client on this machine names it.
func (n *node) remote() string {
	control, token := n.client.Address()
	return strings.Replace(control, "http://", "http://jane:"+token+"@", 1) + "/git/shop"
}

// liveFrom checks that the live versions came from a commit.
func (n *node) liveFrom(id string, names []string) {
	n.t.Helper()
	for _, name := range names {
		f, err := n.client.Function(n.t.Context(), name)
		if err != nil {
			n.t.Fatalf("function %s: %v", name, err)
		}
		if v := live(f); v == nil || v.Origin == nil || v.Origin.Commit != id {
			n.t.Errorf("live of %s is %+v, want a version of commit %s", name, v, id)
		}
	}
}

// liveOf is the commit that live of a function is of; "" = there is no such function.
func (n *node) liveOf(name string) string {
	n.t.Helper()
	f, err := n.client.Function(n.t.Context(), name)
	if fault.KindOf(err) == fault.NotFound {
		return ""
	}
	if err != nil {
		n.t.Fatalf("function %s: %v", name, err)
	}
	return live(f).Origin.Commit
}

func live(f wire.Function) *function.Version {
	for _, a := range f.Aliases {
		for i := range f.Versions {
			if a.Name == function.LiveAlias && f.Versions[i].Number == a.Primary {
				return &f.Versions[i]
			}
		}
	}
	return nil
}
