package git

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestAPushIsDelivered(t *testing.T) {
	h, w := newHost(t), newWork(t)
	first := w.commit("Take orders", shop())
	said := w.pushed(h.url, "main")
	wantText(t, said, "remote: main "+first[:12]+" (Jane <jane@example.com>: Take orders)",
		"remote:   pay                  version 1 (live)  deployed", "remote:   web                  version 1 (live)  deployed")

	req := h.deployed("pay")
	want := function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: first, Branch: "main", Author: "Jane <jane@example.com>", Pusher: "jane"}
	if req.Origin == nil || *req.Origin != want || req.Alias != "live" {
		t.Errorf("deployed with origin %+v to %q, want %+v to live", req.Origin, req.Alias, want)
	}
	dir, err := h.code.Dir(req.Code)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "pay.sh")); err != nil || string(text) != "#!/bin/sh\ncat\n" {
		t.Errorf("pay.sh is %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "pay.sh")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("pay.sh: %v, %v; want it executable", info.Mode(), err)
	}

	second := w.commit("Print two", map[string]string{"web/main.py": "print(2)\n"})
	wantText(t, w.pushed(h.url, "main"), "pay                  version 1 (live)  unchanged", "web                  version 2 (live)  deployed")
	w.git("revert", "--no-edit", "HEAD")
	third := w.git("rev-parse", "HEAD")
	wantText(t, w.pushed(h.url, "main"), "web                  version 1 (live)  nothing new in it; the alias was at version 2")
	if refs := h.refs(w); !strings.Contains(refs, third+"\trefs/heads/main") {
		t.Errorf("refs are\n%s\nwant main at %s", refs, third)
	}

	if len(h.events) != 3 {
		t.Fatalf("%d events, want one for each push", len(h.events))
	}
	e := h.events[1]
	var got Pushed
	if err := json.Unmarshal(e.Data, &got); err != nil {
		t.Fatal(err)
	}
	if e.Type != event.TypeGitPushed || e.Source != "/dalamb/git/shop" || e.Subject != "refs/heads/main" || e.Key() != "shop" {
		t.Errorf("the event is %+v", e)
	}
	if got.Before != first || got.After != second || got.Forced || got.Commit.Subject != "Print two" || len(got.Functions) != 2 || !got.Functions[1].Created || got.Functions[0].Created {
		t.Errorf("its data is %s", e.Data)
	}
	clone := newWork(t)
	clone.git("clone", "-q", h.url, "copy")
	if head := clone.git("-C", "copy", "rev-parse", "HEAD"); head != third {
		t.Errorf("a clone is at %s, want %s", head, third)
	}
}

func TestARefusedPushChangesNothing(t *testing.T) {
	symlink := func(target string) func(*testing.T, *work) {
		return func(t *testing.T, w *work) {
			if err := os.Symlink(target, filepath.Join(w.dir, "pay/link")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		files  map[string]string
		before func(*testing.T, *work)
		refuse func(wire.DeployRequest) error
		said   []string
	}{
		{name: "no manifest", files: map[string]string{"a": "b"}, said: []string{"has no dalamb.yaml", "docs/functions.md"}},
		{name: "a broken manifest", files: map[string]string{"pay/dalamb.yaml": payManifest + "zzz: 1\n", "web/dalamb.yaml": "name: [\n"},
			said: []string{"main ", " cannot be delivered:\n", "remote: pay/dalamb.yaml:3:1: zzz: unknown field", "remote: web/dalamb.yaml:1:"}},
		{name: "two of one name", files: map[string]string{"web/dalamb.yaml": payManifest}, said: []string{`web/dalamb.yaml: function "pay" is declared in pay/dalamb.yaml too`}},
		{name: "no such program", files: map[string]string{"pay/pay.sh": ""}, said: []string{`pay/dalamb.yaml:2:32: entry.command: "./pay.sh" is not in the code (pay has no such file)`}},
		{name: "a program that is none", files: map[string]string{"pay/pay.sh": "cat\n"}, said: []string{`"./pay.sh" is not executable (chmod +x pay/pay.sh)`}},
		{name: "no such directory", files: map[string]string{"pay/dalamb.yaml": "code: src\n" + payManifest}, said: []string{`pay/dalamb.yaml: code: the commit has no directory "pay/src"`}},
		{name: "code outside", files: map[string]string{"pay/dalamb.yaml": "code: ../..\n" + payManifest}, said: []string{"leads out of the repository"}},
		{name: "a link to the host", before: symlink("/etc/passwd"), said: []string{`"link": the link leads out of the code directory, to "/etc/passwd"`}},
		{name: "a link upwards", before: symlink("../web"), said: []string{`"link": the link leads out of the code directory`}},
		{name: "an image that is not there", files: map[string]string{"web/dalamb.yaml": "name: web\nimage: registry.example/web:1\nentry: {type: stdio}\n"},
			said: []string{"remote: dalamb: web/dalamb.yaml: there is no image registry.example/web:1", "remote: hint: push it"}},
		{name: "what the node refuses", refuse: func(r wire.DeployRequest) error { return fault.New(fault.Conflict, "%s is taken", r.Spec.Name) },
			said: []string{"remote: dalamb: pay/dalamb.yaml: pay is taken\nremote: web/dalamb.yaml: web is taken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, w := newHost(t), newWork(t)
			h.platform.refuse = c.refuse
			w.commit("first", shop())
			if c.before != nil {
				c.before(t, w)
			}
			w.commit("second", c.files)
			if c.name == "no manifest" {
				w = newWork(t)
				w.commit("only", c.files)
			}
			said, ok := w.push(h.url, "main")
			plain := strings.ReplaceAll(said, "        \n", "\n") // git clears what stood in the line
			wantText(t, plain, append(c.said, "! [remote rejected] main -> main (pre-receive hook declined)")...)
			if ok || len(h.versions) != 0 || len(h.events) != 0 {
				t.Errorf("pushed: %v, versions %v, events %v; want nothing of it", ok, h.versions, h.events)
			}
			if left, err := os.ReadDir(filepath.Join(h.dir, "git", "repositories")); err != nil || len(left) != 0 {
				t.Errorf("repositories: %v, %v, want none", left, err)
			}
			left, err := os.ReadDir(h.server.tmp())
			if err != nil || len(left) != 1 { // the empty repository
				t.Errorf("left in tmp: %v, %v", left, err)
			}
		})
	}
}

// What no check could see beforehand is told, and nothing was released; the ref stays, and the next push ends it.
func TestAReleaseThatFailsMakesNothingAndCanBeRepeated(t *testing.T) {
	h, w := newHost(t), newWork(t)
	w.commit("first", shop())
	h.gate = func(_ context.Context, r wire.DeployRequest) error {
		if r.Spec.Name == "web" {
			return errUnavailable
		}
		return nil
	}
	said, ok := w.push(h.url, "main")
	wantText(t, said, "dalamb: the log takes no writes")
	if len(h.versions) != 0 {
		t.Errorf("versions are %v, want none", h.versions)
	}
	if ok {
		t.Error("the push was accepted")
	}
	if said, err := w.command("ls-remote", h.url).CombinedOutput(); err == nil {
		t.Errorf("the repository has\n%s\nwant that it is not there", said)
	}
	h.gate = nil
	wantText(t, w.pushed(h.url, "main"), "pay                  version 1 (live)  deployed", "web                  version 1 (live)  deployed")
	w.commit("second", map[string]string{"web/main.py": "print(2)\n"})
	h.append = errUnavailable
	if said, ok := w.push(h.url, "main"); ok || !strings.Contains(said, "the log takes no writes") {
		t.Errorf("a push that is not in the log: %v\n%s", ok, said)
	}
	h.append = fault.New(fault.NotFound, "no topic")
	wantText(t, w.pushed(h.url, "main"), `warning: there is no topic "events"`)
}

// A roll-out starts when the versions are there already: where it does not, the push tells of them, however often it tried.
func TestAPushTellsWhatIsMadeWithoutItsRollout(t *testing.T) {
	for _, why := range []*fault.Error{errUnavailable, fault.New(fault.Conflict, "web was changed meanwhile")} {
		h, w := newHost(t), newWork(t)
		w.commit("first", shop())
		h.stuck = map[string]error{"web": why}
		said, ok := w.push(h.url, "main")
		wantText(t, said, "pay                  version 1 (live)  deployed", "web                  version 1 (live)  is there, and its roll-out has not started", "dalamb: "+why.Message)
		if ok || len(h.events) != 0 {
			t.Errorf("pushed: %v, events %v; want neither", ok, h.events)
		}
		h.stuck = nil
		wantText(t, w.pushed(h.url, "main"), "pay                  version 1 (live)  unchanged", "web                  version 1 (live)  nothing new in it; the alias is new")
	}
}

// Of several branches each is released by itself; what those before have brought is told.
func TestABranchThatIsRefusedTellsOfThoseBefore(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files["pay/dalamb.yaml"] += "deliver: {branches: {main: live, next: next}}\n"
	w.commit("first", files)
	w.git("branch", "next")
	h.gate = func(_ context.Context, r wire.DeployRequest) error {
		if r.Alias == "next" {
			return errUnavailable
		}
		return nil
	}
	said, ok := w.push(h.url, "main", "next")
	wantText(t, said, "pay/dalamb.yaml: the log takes no writes", "deployed already: pay version 1, web version 1", "hint: push again")
	if ok || len(h.events) != 0 {
		t.Errorf("pushed: %v, events %v; want neither", ok, h.events)
	}
	h.gate = nil
	wantText(t, w.pushed(h.url, "main", "next"), "pay                  version 1 (live)  unchanged", "(next)  nothing new in it; the alias is new")
}

func TestBranchesAndTags(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files["web/dalamb.yaml"] += "deliver: {branches: {main: live, \"feature/*\": \"preview/*\"}}\n"
	w.commit("first", files)
	w.git("branch", "feature/Login")
	w.git("branch", "other")
	w.git("tag", "v1")
	w.git("tag", "-a", "-m", "two", "v2")
	said := w.pushed(h.url, "--all")
	wantText(t, said, "version 1 (live)  deployed", "other ", "kept, not delivered: deliver.branches names it for no function", "(preview/login-")
	wantText(t, w.pushed(h.url, "--tags"), "tag v1", "tags are kept; branches are delivered", "tag v2")
	if n := len(h.versions["web"]); n != 1 {
		t.Errorf("web has %d versions, want one for both branches", n)
	}
	wantText(t, w.pushed(h.url, ":other"), "other is deleted", "[deleted]")
	wantText(t, w.pushed(h.url, ":feature/Login"), "feature/Login is deleted", "web                  alias preview/login-", "is removed; its versions stay")
	if len(h.aliases) != 2 { // pay and web are live
		t.Errorf("aliases are %v, want that the branch's is gone", h.aliases)
	}

	last := h.events[len(h.events)-1]
	var got Pushed
	if err := json.Unmarshal(last.Data, &got); err != nil || got.After != "" || got.Before == "" || got.Branch == "" {
		t.Errorf("the event of a deleted branch is %s", last.Data)
	}
	w.git("commit", "-q", "--amend", "-m", "first, again")
	if said, ok := w.push(h.url, "main"); ok || !strings.Contains(said, "non-fast-forward") {
		t.Errorf("a push that replaces commits: %v\n%s", ok, said)
	}
	wantText(t, w.pushed("--force", h.url, "main"), "(forced update)")
	last = h.events[len(h.events)-1]
	if err := json.Unmarshal(last.Data, &got); err != nil || !got.Forced {
		t.Errorf("the event of a forced push is %s", last.Data)
	}
	wantText(t, w.pushed(h.url, "main"), "Everything up-to-date")
	w.commit("without web", map[string]string{"web/dalamb.yaml": ""})
	wantText(t, w.pushed(h.url, "main"), "web                  version 1 (live)  stays, though the branch delivers it no longer; dalamb remove web takes it away")
}

func TestARefThatIsNeitherBranchNorTagIsNamed(t *testing.T) {
	h, w := newHost(t), newWork(t)
	w.commit("first", shop())
	said, ok := w.push(h.url, "HEAD:refs/foo/bar")
	wantText(t, said, `dalamb: "refs/foo/bar" is neither a branch nor a tag, and no other ref is taken`, "COMMIT:refs/heads/bar, or COMMIT:refs/tags/bar")
	if ok || strings.Contains(said, "0000000") || len(h.events) != 0 {
		t.Errorf("pushed: %v, %d events, want it refused without git's own words\n%s", ok, len(h.events), said)
	}
}

func TestAnAliasThatABranchIsDeliveredToNoLongerGoes(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	files["web/dalamb.yaml"] += "deliver: {branches: {\"fix/*\": \"fix/*\", \"release/*\": stage}}\n"
	w.commit("first", files)
	wantText(t, w.pushed(h.url, "main:release/1"), "web                  version 1 (stage)  deployed")
	w.pushed(h.url, "main:release/2")
	wantText(t, w.pushed(h.url, ":release/1"), "web                  version 1 (stage)  stays, though the branch delivers it no longer; dalamb alias rm web stage takes it away")
	wantText(t, w.pushed(h.url, "main:fix/one"), "web                  version 1 (fix/one)  nothing new in it; the alias is new")
	w.commit("other branches", map[string]string{"web/dalamb.yaml": webManifest})
	wantText(t, w.pushed(h.url, "main:fix/one"), "web                  alias fix/one is removed; its versions stay")
	if len(h.aliases) != 1 || h.Primary("web", "stage") != 1 {
		t.Errorf("aliases are %v, want stage alone", h.aliases)
	}
	var got Pushed
	if err := json.Unmarshal(h.events[len(h.events)-1].Data, &got); err != nil || len(got.Removed) != 1 || got.Removed[0].Alias != "fix/one" {
		t.Errorf("the last event is %+v, %v; want the alias in it", got, err)
	}
}

// A manifest in a directory of what others made, or of what is there to be tested with, declares nothing.
func TestWhereManifestsAreLookedFor(t *testing.T) {
	h, w := newHost(t), newWork(t)
	files := shop()
	for _, dir := range []string{"node_modules/x", "a/vendor/x", "testdata", ".github", "_old"} {
		files[dir+"/dalamb.yaml"] = "broken: [\n"
	}
	files["deep/er/dalamb.yaml"] = strings.ReplaceAll(webManifest, "web", "deep")
	files["deep/er/main.py"] = "x"
	w.commit("first", files)
	w.pushed(h.url, "main")
	if len(h.versions) != 3 {
		t.Errorf("functions are %v, want pay, web and deep", h.versions)
	}
}

// within waits for something that a test's own goroutine does.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30s for %s", what)
	}
}

// A push to the wrong one of several nodes makes a second repository, which nobody may have meant.
func TestAPushToAnotherNodeThanBeforeIsTold(t *testing.T) {
	h, w := newHost(t), newWork(t)
	h.server.elsewhere = func(repository string) bool { return repository == "shop" }
	w.commit("One", shop())
	const warning = "warning: shop is made anew here, and was pushed to another node before"
	wantText(t, w.pushed(h.url, "main"), warning, "version 1 (live)  deployed")
	w.commit("Two", map[string]string{"pay/pay.sh": "#!/bin/sh\necho two\n"})
	if said := w.pushed(h.url, "main"); strings.Contains(said, warning) {
		t.Errorf("the second push says\n%s\nwant no warning", said)
	}
	other := strings.Replace(h.url, "/git/shop", "/git/toys", 1)
	if said := w.pushed(other, "main"); strings.Contains(said, "warning") {
		t.Errorf("a push of another repository says\n%s\nwant no warning", said)
	}
}

func TestWhatIsReleasedIsTheImageThatWasChecked(t *testing.T) {
	h, w := newHost(t), newWork(t)
	h.platform.images = map[string]string{"registry.example/img:1": "sha256:found"}
	files := shop()
	files["img/dalamb.yaml"] = "name: img\nimage: registry.example/img:1\nentry: {type: stdio}\n"
	w.commit("An image", files)
	w.pushed(h.url, "main")
	if img, pay := h.deployed("img").ImageDigest, h.deployed("pay").ImageDigest; img != "sha256:found" || pay != "" {
		t.Errorf("released with the images %q and %q, want what was checked for img alone", img, pay)
	}
}
