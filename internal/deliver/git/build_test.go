package git

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
)

// yard stands for build: what it makes of a directory is the directory and a program, as it is told to.
type yard struct {
	host *host
	held *held

	mu   sync.Mutex
	runs []build.Request
	err  error
}

func (y *yard) Run(ctx context.Context, r build.Request) (*build.Result, error) {
	y.mu.Lock()
	y.runs = append(y.runs, r)
	n, err := len(y.runs), y.err
	y.mu.Unlock()
	fmt.Fprintf(r.Out, "making %s\n", r.Function)
	if err == nil && y.held != nil {
		err = y.held.hold(ctx)
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(y.host.dir, "made-")
	if err != nil {
		return nil, err
	}
	for _, p := range r.Programs {
		if err := os.WriteFile(filepath.Join(dir, p), []byte("made"), 0o755); err != nil {
			return nil, err
		}
	}
	code, err := image.PutDirectory(ctx, y.host.server.code, dir)
	return &build.Result{Code: code, Built: &function.Built{ID: fmt.Sprint("build-", n)}}, err
}

func newYard(h *host) *yard {
	y := &yard{host: h}
	h.server.builder = y
	return y
}

func TestAPushedDirectoryIsBuilt(t *testing.T) {
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	made := "build: {command: [make]}\n"
	w.commit("Build", map[string]string{
		"dalamb.yaml": payManifest + made + "---\nname: bill\nentry: {type: stdio, command: [./pay.sh]}\n" + made + "---\n" + webManifest,
		"main.py":     "print(1)\n", "Makefile": "all:\n",
	})
	wantText(t, w.pushed(h.url, "main"), "remote:   pay: making pay", "pay                  version 1 (live)  deployed")
	if len(y.runs) != 1 || y.runs[0].Scope != `branch "main" of repository shop` || !slices.Equal(y.runs[0].Programs, []string{"pay.sh"}) || y.runs[0].Function != "pay" || !slices.Equal(y.runs[0].Beside, []string{"bill"}) {
		t.Errorf("builds %+v, want one for both functions of the directory", y.runs)
	}
	var told Pushed
	if err := json.Unmarshal(h.events[0].Data, &told); err != nil {
		t.Fatal(err)
	}
	for _, f := range told.Functions {
		if want := map[string]string{"pay": "build-1", "bill": "build-1", "web": ""}[f.Name]; f.Build != want {
			t.Errorf("the push's event says of %s that build %q made it, want %q", f.Name, f.Build, want)
		}
	}
	pay, web := h.deployed("pay"), h.deployed("web")
	if pay.Build != "build-1" || pay.Code == web.Code || web.Build != "" || h.deployed("bill").Code != pay.Code {
		t.Errorf("deployed %+v and %+v, want what was built for pay and bill alone", pay, web)
	}
	y.err = fault.New(fault.Invalid, "the build failed: make (exit code 2)").WithHint("look above")
	before := h.refs(w)
	w.commit("Break", map[string]string{"Makefile": "all: none\n"})
	said, ok := w.push(h.url, "main")
	if ok || h.refs(w) != before || h.deployed("pay").Code != pay.Code {
		t.Errorf("a push whose build fails changed something, or succeeded:\n%s", said)
	}
	wantText(t, said, "dalamb.yaml: the build failed: make (exit code 2)", "hint: look above")
}

// TestABuildKnowsTheCommit is told the same of a push to this node and of one to another server.
func TestABuildKnowsTheCommit(t *testing.T) {
	files := map[string]string{"dalamb.yaml": payManifest + "build: {command: [make]}\n", "Makefile": "all:\n"}
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	pushed := w.commit("Build", files)
	w.pushed(h.url, "main")
	e := newElsewhere(t)
	told := e.commit("Build", files)
	e.pushed("origin", "main")
	if _, err := h.bring(e.told("refs/heads/main", "", told)); err != nil {
		t.Fatal(err)
	}
	if len(y.runs) != 2 {
		t.Fatalf("%d builds, want one for each push", len(y.runs))
	}
	for i, want := range []function.Origin{
		{Kind: function.OriginGit, Repository: "shop", Commit: pushed, Branch: "main"},
		{Kind: function.OriginWebhook, Repository: "elsewhere.example/acme/shop", Commit: told, Branch: "main"},
	} {
		if o := y.runs[i].Origin; o == nil || o.Kind != want.Kind || o.Repository != want.Repository || o.Commit != want.Commit || o.Branch != want.Branch || o.Author == "" {
			t.Errorf("build %d is of %+v, want %+v", i, o, want)
		}
	}
}

func TestBranchesShareNothingThatBuildsKeep(t *testing.T) {
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	w.commit("Build", map[string]string{"dalamb.yaml": payManifest + "build: {command: [make]}\ndeliver: {branches: {main: live, next: next}}\n", "x": "1"})
	w.pushed(h.url, "main")
	w.git("checkout", "-q", "-b", "next")
	w.commit("Another", map[string]string{"x": "2"})
	w.pushed(h.url, "next")
	if len(y.runs) != 2 || y.runs[0].Scope == y.runs[1].Scope {
		t.Errorf("builds %+v, want two of different scopes", y.runs)
	}
}

func TestWhatIsAProgramAlreadyIsNotBuilt(t *testing.T) {
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	w.commit("Prebuilt, beside its source", map[string]string{"dalamb.yaml": payManifest, "pay.sh": "#!/bin/sh\n", "go.mod": "module x\n"})
	w.pushed(h.url, "main")
	if len(y.runs) != 0 {
		t.Errorf("builds %+v, want none", y.runs)
	}
	w.commit("The source alone", map[string]string{"pay.sh": "", "main.go": "package main\n"})
	w.pushed(h.url, "main")
	if len(y.runs) != 1 || y.runs[0].Build.Type != function.BuildGo {
		t.Errorf("builds %+v, want one with go", y.runs)
	}
}

func TestANewerPushEndsABuild(t *testing.T) {
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	y.held = &held{reached: make(chan struct{}), release: make(chan struct{})}
	building := y.held.reached
	w.commit("First", map[string]string{"dalamb.yaml": payManifest + "build: {command: [make]}\n", "x": "1"})
	first := w.start(h.url, "main")
	<-building
	second := &work{t, t.TempDir()}
	second.git("clone", "-q", w.dir, ".")
	second.commit("Second", map[string]string{"x": "2"})
	second.pushed(h.url, "main")
	<-first.done
	if first.ok || !strings.Contains(first.said, "a newer push to the same branch took its place") {
		t.Errorf("the first push, ok %v, said\n%s", first.ok, first.said)
	}
	if n := h.Primary("pay", "live"); n != 1 {
		t.Errorf("live is at version %d, want the one version of the second push", n)
	}
}

// Who deploys some functions gets no secret of others by what a build sees.
func TestABuildTakesNoSecretOfOthers(t *testing.T) {
	h, w := newHost(t), newWork(t)
	y := newYard(h)
	h.images = map[string]string{function.ToBeBuilt: "sha256:" + strings.Repeat("0", 64)}
	url := strings.Replace(h.url, testToken, "shop-deployer", 1)
	manifest := func(secret string) map[string]string {
		return map[string]string{"dalamb.yaml": "name: shop-web\nentry: {type: stdio, command: [./web]}\nbuild: {type: dockerfile, secrets: [" + secret + "]}\n", "Dockerfile": "FROM scratch\n"}
	}
	w.commit("Another's", manifest("pay-db"))
	said, ok := w.push(url, "main")
	if ok || len(y.runs) != 0 {
		t.Errorf("a push that takes another's secret was taken, or built %d:\n%s", len(y.runs), said)
	}
	wantText(t, said, "dalamb.yaml: the secret pay-db is not his")
	w.commit("His own", manifest("shop-db"))
	if w.pushed(url, "main"); len(y.runs) != 1 {
		t.Errorf("%d builds with a secret of his own, want one", len(y.runs))
	}
	w.commit("Another's again", manifest("pay-db"))
	if w.pushed(h.url, "main"); len(y.runs) != 2 {
		t.Errorf("%d builds, want one more of who may all", len(y.runs))
	}
}
