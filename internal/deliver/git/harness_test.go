package git

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

const testToken = "0123456789abcdef"

// platform is a small deployer and log: versions are numbered from 1 for each function, and the same code and settings are the same
// version.
type platform struct {
	mu       sync.Mutex
	versions map[string][]wire.DeployRequest
	aliases  map[goneAlias]int
	events   []*event.Event
	gate     func(ctx context.Context, req wire.DeployRequest) error // asked before a release; nil = no
	refuse   func(req wire.DeployRequest) error                      // asked of every function; nil = no
	append   error
	stored   error             // as append, but what was to be appended is there nevertheless
	images   map[string]string // reference -> digest
	stuck    map[string]error  // function -> why its roll-out does not start
	rollouts []wire.Rollout    // that the roll-out of web goes through, one after another; nil = there is none
	stopped  chan struct{}     // where a roll-out stands still after the last of them
}

// Check knows few images; like the node it does not look for them where anything is refused.
func (f *platform) Check(_ context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, []error) {
	found, errs, refused := make([]wire.Deployed, len(reqs)), make([]error, len(reqs)), false
	for i, req := range reqs {
		if f.refuse != nil {
			errs[i] = f.refuse(req)
		}
		if errs[i] == nil {
			errs[i] = req.Spec.Validate()
		}
		refused = refused || errs[i] != nil
	}
	for i, req := range reqs {
		ref := req.Spec.ImageRef()
		if ref == "" || refused {
			continue
		}
		if digest := f.images[ref]; digest != "" {
			found[i].Image = &wire.DeployedImage{Reference: ref, Digest: digest}
		} else {
			errs[i] = fault.New(fault.NotFound, "there is no image %s", ref).WithHint("push it")
		}
	}
	return found, errs
}

// MayBuild lets who has rights over some functions take secrets that are called so.
func (f *platform) MayBuild(ctx context.Context, fn string, how *function.Build) error {
	for _, name := range how.Secrets {
		if full := function.Full(function.Environment(fn), name); !access.From(ctx).Covers(full) {
			return fault.New(fault.Denied, "the secret %s is not his", full)
		}
	}
	return nil
}

// Release asks the gate about all functions before it makes the first version.
func (f *platform) Release(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, error) {
	if _, errs := f.Check(ctx, reqs); fault.All(errs) != nil {
		return nil, fault.All(errs)
	}
	for _, req := range reqs {
		if f.gate == nil {
			break
		}
		if err := f.gate(ctx, req); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var done []wire.Deployed
	var err error
	for _, req := range reqs {
		done = append(done, f.deploy(req))
		if why := f.stuck[req.Spec.Name]; why != nil {
			err = why
		}
	}
	return done, err
}

// deploy is one function of a release; mu is held.
func (f *platform) deploy(req wire.DeployRequest) wire.Deployed {
	out := wire.Deployed{Function: req.Spec.Name, Alias: req.Alias}
	for i, v := range f.versions[req.Spec.Name] {
		if v.Spec.Digest(v.Code, "") == req.Spec.Digest(req.Code, "") {
			out.Version = i + 1
		}
	}
	if out.Version == 0 {
		f.versions[req.Spec.Name] = append(f.versions[req.Spec.Name], req)
		out.Version, out.Created = len(f.versions[req.Spec.Name]), true
	}
	if out.Created && req.Spec.Name == "web" && f.rollouts != nil {
		out.Rollout = 7
		return out
	}
	if f.stuck[req.Spec.Name] != nil {
		return out
	}
	alias := goneAlias{Name: req.Spec.Name, Alias: req.Alias}
	out.Moved = f.aliases[alias] != out.Version
	f.aliases[alias] = out.Version
	return out
}

func (f *platform) Primary(fn, alias string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.aliases[goneAlias{Name: fn, Alias: alias}]
}

func (f *platform) RemoveAlias(_ context.Context, fn, alias string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.aliases[goneAlias{Name: fn, Alias: alias}] == 0 {
		return fault.New(fault.NotFound, "there is no alias %q of %s", alias, fn)
	}
	delete(f.aliases, goneAlias{Name: fn, Alias: alias})
	return nil
}

func (f *platform) Rollout(fn string, id int64) (wire.Rollout, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != 7 || fn != "web" {
		return wire.Rollout{}, nil, fault.New(fault.NotFound, "there is no roll-out %d of %s", id, fn)
	}
	r := f.rollouts[0]
	r.Function, r.Alias, r.To = fn, "live", len(f.versions[fn])
	if len(f.rollouts) == 1 && !r.Over() {
		close(f.stopped)
		return r, nil, nil
	}
	if !r.Over() {
		f.rollouts = f.rollouts[1:]
	}
	next := make(chan struct{})
	close(next)
	return r, next, nil
}

func (f *platform) Append(_ context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.append != nil {
		return nil, f.append
	}
	for _, r := range records {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			return nil, err
		}
		f.events = append(f.events, e)
	}
	return make([]eventlog.Position, len(records)), f.stored
}

func (f *platform) Topics(context.Context) ([]eventlog.Topic, error) {
	return []eventlog.Topic{{Name: function.TopicEvents, ID: "1", Partitions: 1}}, nil
}

func (f *platform) Bounds(context.Context, eventlog.Partition) (eventlog.Bounds, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return eventlog.Bounds{End: int64(len(f.events))}, nil
}

// Read gives one record at a time.
func (f *platform) Read(_ context.Context, p eventlog.Partition, from int64, _ eventlog.ReadOptions) ([]eventlog.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from >= int64(len(f.events)) {
		return nil, nil
	}
	r := eventlog.FromEvent(p.Topic, f.events[from])
	r.Offset = from
	return []eventlog.Record{r}, nil
}

// deployed is the newest request of a function that became a version.
func (f *platform) deployed(name string) wire.DeployRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	vs := f.versions[name]
	if len(vs) == 0 {
		return wire.DeployRequest{}
	}
	return vs[len(vs)-1]
}

// host is a server with what is behind it.
type host struct {
	t *testing.T
	*platform
	server *Server
	code   *image.Store
	url    string // of the repository shop, with the token
	dir    string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, platform: &platform{versions: map[string][]wire.DeployRequest{}, aliases: map[goneAlias]int{}}, dir: t.TempDir()}
	var err error
	if h.code, err = image.Open(filepath.Join(h.dir, "code")); err != nil {
		t.Fatal(err)
	}
	h.server, err = Open(Options{
		Dir: filepath.Join(h.dir, "git"), Program: need.Program(t, "git"), Deployer: h.platform, Code: h.code, Log: h.platform, MaxPush: 64 << 20,
		Who: testWho,
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h.server)
	t.Cleanup(web.Close)
	h.url = strings.Replace(web.URL, "http://", "http://jane:"+testToken+"@", 1) + "/git/shop"
	return h
}

// refs are the repository's refs as a client sees them.
// testWho knows the node's own token, and those of a deployer of what is named shop-*, and of somebody who may look.
func testWho(token string) (access.Actor, error) {
	switch token {
	case testToken:
		return access.Own(), nil
	case "shop-deployer":
		return access.Actor{Type: access.APIKey, ID: "shop-ci", Grant: access.Grant{Role: access.Deployer, Functions: []string{"shop-*"}}}, nil
	case "viewer":
		return access.Actor{Type: access.APIKey, ID: "looks", Grant: access.Grant{Role: access.Viewer}}, nil
	}
	return access.Actor{}, fault.New(fault.Unauthenticated, "the token is missing or wrong")
}

func (h *host) refs(w *work) string {
	h.t.Helper()
	return w.git("ls-remote", h.url)
}

// work is a working copy.
type work struct {
	t   *testing.T
	dir string
}

func newWork(t *testing.T) *work {
	t.Helper()
	w := &work{t, t.TempDir()}
	w.git("init", "-q", "-b", "main")
	return w
}

// command is the user's git, with nobody's settings.
func (w *work) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Jane", "GIT_AUTHOR_EMAIL=jane@example.com", "GIT_COMMITTER_NAME=Jane", "GIT_COMMITTER_EMAIL=jane@example.com",
	}
	return cmd
}

func (w *work) git(args ...string) string {
	w.t.Helper()
	out, err := w.command(args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, and commits all there is. A file without text is removed.
func (w *work) commit(subject string, files map[string]string) string {
	w.t.Helper()
	for name, text := range files {
		at := filepath.Join(w.dir, name)
		if text == "" {
			if err := os.RemoveAll(at); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			w.t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := errors.Join(os.WriteFile(at, []byte(text), mode), os.Chmod(at, mode)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", subject)
	return w.git("rev-parse", "HEAD")
}

// push returns what git said, and whether it succeeded.
func (w *work) push(args ...string) (said string, ok bool) {
	w.t.Helper()
	cmd := w.command(append([]string{"push"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

// pushed is push that must succeed.
func (w *work) pushed(args ...string) string {
	w.t.Helper()
	said, ok := w.push(args...)
	if !ok {
		w.t.Fatalf("git push %s:\n%s", strings.Join(args, " "), said)
	}
	return said
}

const (
	payManifest = "name: pay\nentry: {type: stdio, command: [./pay.sh]}\n"
	webManifest = "name: web\nentry: {type: http, command: [python3, main.py]}\n"
)

// shop is a repository of two functions.
func shop() map[string]string {
	return map[string]string{"pay/dalamb.yaml": payManifest, "pay/pay.sh": "#!/bin/sh\ncat\n", "web/dalamb.yaml": webManifest, "web/main.py": "print(1)\n"}
}

func wantText(t *testing.T, said string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("said\n%s\nwant %q in it", said, part)
		}
	}
}

var errUnavailable = fault.New(fault.Unavailable, "the log takes no writes")
