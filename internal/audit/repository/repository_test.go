package repository

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/audit"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

// server is a repository elsewhere.
type server struct {
	t    *testing.T
	root string
	bare string
	git  string // the program, which finds the test's ssh beside it
	said string // what that ssh was told
}

func newServer(t *testing.T) *server {
	real := need.Program(t, "git")
	s := &server{t: t, root: t.TempDir()}
	s.bare = filepath.Join(s.root, "acme", "audit.git")
	programs := t.TempDir()
	s.git, s.said = filepath.Join(programs, "git"), filepath.Join(programs, "said")
	// What ssh would have another machine run, this one runs here.
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >> '%s'\nfor last; do :; done\ncd '%s' && exec sh -c \"$(echo \"$last\" | sed \"s#'/#'./#\")\"\n", s.said, s.root)
	if err := os.WriteFile(filepath.Join(programs, "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, s.git); err != nil {
		t.Fatal(err)
	}
	s.run("init", "--quiet", "--bare", s.bare)
	s.run("-C", s.bare, "config", "http.receivepack", "true")
	return s
}

func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(s.git, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.root, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *server) commits() []string {
	return strings.Fields(s.run("-C", s.bare, "rev-list", "refs/heads/main"))
}

// web serves the repository by HTTP to who shows a token.
func (s *server) web(token string) string {
	backend := &cgi.Handler{
		Path: s.git, Args: []string{"http-backend"}, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=x", "HOME=" + s.root},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	s.t.Cleanup(web.Close)
	return web.URL
}

// node is a log with an audit that runs.
type node struct {
	t    *testing.T
	dir  string
	log  *disk.Log
	keep *audit.Keeper
	said *lines
	stop func()
	n    int
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newNode(t *testing.T) *node {
	n := &node{t: t, dir: filepath.Join(t.TempDir(), "audit"), said: &lines{}}
	var err error
	if n.log, err = disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.log.Close() })
	if err := n.log.CreateTopic(t.Context(), eventlog.Topic{Name: "orders", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	return n
}

// start begins the audit; it ends with stop, or with the test.
func (n *node) start(o Options) {
	n.t.Helper()
	o.Dir = filepath.Join(n.dir, "repository")
	place, err := New(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.keep, err = audit.New(audit.Options{
		Log: n.log, Dir: n.dir, Outside: place, Look: time.Millisecond, Every: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(n.said, nil)),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan error, 1)
	go func() { done <- n.keep.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	})
	n.t.Cleanup(n.stop)
}

func (n *node) emit() {
	n.t.Helper()
	n.n++
	e := &event.Event{ID: fmt.Sprint(n.n), Source: "/till", Type: "order.paid", Time: time.Unix(1, 0), Data: []byte(`{}`), DataContentType: "application/json"}
	if _, err := n.log.Append(n.t.Context(), []eventlog.Record{eventlog.FromEvent("orders", e)}); err != nil {
		n.t.Fatal(err)
	}
}

// until waits for what a goroutine beside the test does.
func (n *node) until(what string, is func() bool) {
	n.t.Helper()
	late := time.After(60 * time.Second)
	for !is() {
		select {
		case <-late:
			n.t.Fatalf("not within a minute: %s; %+v\n%s", what, n.keep.State(), n.said)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// brought emits, and waits until everything is signed and there.
func (n *node) brought(times int) {
	n.t.Helper()
	for range times {
		before := n.keep.State().Checkpoint
		n.emit()
		n.until("a checkpoint is there", func() bool {
			s := n.keep.State()
			return s.Checkpoint > before && s.Missing == 0 && s.OutsideTrouble == ""
		})
	}
}

// clean compares the log with what was brought.
func (n *node) clean(outside []byte) {
	n.t.Helper()
	report, err := audit.Verify(n.t.Context(), audit.VerifyOptions{Log: n.log, Dir: n.dir, Outside: outside, From: "the repository"})
	if err != nil {
		n.t.Fatal(err)
	}
	if len(report.Findings) > 0 || !bytes.Contains(outside, fmt.Appendf(nil, "dalamb audit checkpoint v1\n%d\n", report.Last)) {
		n.t.Errorf("report = %+v, want a clean one, with all of what was signed", report)
	}
}

func (n *node) key() string {
	name, _, _ := strings.Cut(n.keep.State().Key, "+")
	return name
}

func TestCheckpointsArePushed(t *testing.T) {
	for _, by := range []string{"file", "http", "ssh"} {
		t.Run(by, func(t *testing.T) {
			s, n := newServer(t), newNode(t)
			files := t.TempDir()
			access, hosts := filepath.Join(files, "access"), filepath.Join(files, "known_hosts")
			if err := os.WriteFile(access, []byte("open-sesame\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			o := Options{Git: s.git, Access: access}
			switch by {
			case "file":
				o.URL, o.Access = "git+file://"+s.bare, ""
			case "http":
				o.URL = "git+" + s.web("open-sesame") + "/acme/audit.git"
			case "ssh":
				o.URL, o.KnownHosts = "git+ssh://git@host.invalid:2222/acme/audit.git", hosts
			}
			n.start(o)
			n.brought(3)
			n.stop()
			if got := len(s.commits()); got < 3 || int64(got) > n.keep.State().Checkpoint {
				t.Errorf("%d commits of %d checkpoints", got, n.keep.State().Checkpoint)
			}
			s.run("-C", s.bare, "fsck", "--strict")
			o.Dir = t.TempDir()
			auditor, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"", n.key()} {
				text, err := auditor.Read(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				n.clean(text)
			}
			if _, err := auditor.Read(t.Context(), "dalamb-00000000"); fault.KindOf(err) != fault.NotFound {
				t.Errorf("Read of another key = %v, want NotFound", err)
			}
			clone := filepath.Join(t.TempDir(), "clone")
			s.run("clone", "--quiet", "--branch", "main", s.bare, clone)
			text, err := ReadClone(clone, "")
			if err != nil {
				t.Fatal(err)
			}
			n.clean(text)
			said, err := os.ReadFile(s.said)
			if by == "ssh" && (err != nil || !bytes.Contains(said, []byte("IdentityFile=\""+access)) || !bytes.Contains(said, []byte("StrictHostKeyChecking=yes"))) {
				t.Errorf("ssh was told %s (%v)", said, err)
			}
			if bytes.Contains(said, []byte("sesame")) || strings.Contains(n.said.String(), "sesame") {
				t.Errorf("the secret is told: %s\n%s", said, n.said)
			}
			// It goes on where it was, also where the node's copy is lost.
			for _, lost := range []bool{false, true} {
				if lost {
					if err := os.RemoveAll(filepath.Join(n.dir, "repository", "copy.git")); err != nil {
						t.Fatal(err)
					}
				}
				before := len(s.commits())
				n.start(o)
				n.brought(2)
				n.stop()
				if len(s.commits()) <= before {
					t.Errorf("%d commits after a restart, and %d before", len(s.commits()), before)
				}
			}
			if text, err = auditor.Read(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			n.clean(text)
		})
	}
}

func TestAnotherTokenIsRefusedAndNotTold(t *testing.T) {
	s, n := newServer(t), newNode(t)
	access := filepath.Join(t.TempDir(), "access")
	if err := os.WriteFile(access, []byte("wrong-sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.emit()
	n.start(Options{Git: s.git, Access: access, URL: "git+" + s.web("open-sesame") + "/acme/audit.git"})
	n.until("it says why", func() bool { return strings.Contains(n.keep.State().OutsideTrouble, "does not let this node in") })
	if s := n.keep.State(); s.Checkpoint != 0 {
		t.Errorf("State = %+v, want nothing signed before it is known what is there", s)
	}
	if err := os.WriteFile(access, []byte("jane:open-sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.brought(1)
	if strings.Contains(n.said.String(), "sesame") {
		t.Errorf("the log has the token:\n%s", n.said)
	}
}

// Nothing is forced: what somebody else has pushed stays, and what was taken away is told, by a node that runs and by one that starts.
func TestARepositoryThatWasRewrittenIsFound(t *testing.T) {
	s, n := newServer(t), newNode(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare}
	n.start(o)
	n.brought(3)
	was := s.commits()
	s.run("-C", s.bare, "update-ref", "refs/heads/main", was[len(was)-1])
	n.emit()
	n.until("it is told", func() bool { return strings.Contains(n.keep.State().OutsideTrouble, "was rewritten: commit "+was[0]) })
	if now := s.commits(); len(now) != 1 {
		t.Errorf("%d commits, want that nothing was pushed", len(now))
	}
	at := n.keep.State().Checkpoint
	n.emit()
	n.until("it signs on", func() bool { return n.keep.State().Checkpoint > at })
	n.stop()

	other := s.run("-C", s.bare, "commit-tree", "-m", "Another history", s.run("-C", s.bare, "mktree", "--missing"))
	s.run("-C", s.bare, "update-ref", "refs/heads/main", other)
	n.start(o)
	n.until("it stands still", func() bool { return strings.Contains(n.keep.State().Trouble, "was rewritten: commit "+was[0]) })
	n.stop()
	s.run("-C", s.bare, "update-ref", "-d", "refs/heads/main")
	n.start(o)
	n.until("it stands still", func() bool { return strings.Contains(n.keep.State().Trouble, "the branch is gone") })
	n.stop()

	// The commit is back, with one of somebody else behind it: what waited is brought.
	s.run("-C", s.bare, "update-ref", "refs/heads/main", was[0])
	readme := s.run("-C", s.bare, "commit-tree", "-p", was[0], "-m", "A word", was[0]+"^{tree}")
	s.run("-C", s.bare, "update-ref", "refs/heads/main", readme)
	n.start(o)
	n.brought(1)
	if !strings.Contains(strings.Join(s.commits(), " "), readme) {
		t.Error("the commit of somebody else is gone")
	}
}

// Two nodes may push to one branch.
func TestTwoNodesPushToOneBranch(t *testing.T) {
	s := newServer(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare + "#logs/audit"}
	nodes := []*node{newNode(t), newNode(t)}
	for _, n := range nodes {
		n.start(o)
	}
	for range 3 {
		for _, n := range nodes {
			n.emit()
		}
	}
	for _, n := range nodes {
		n.brought(1)
	}
	o.Dir = t.TempDir()
	auditor, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		n.stop()
		text, err := auditor.Read(t.Context(), n.key())
		if err != nil {
			t.Fatal(err)
		}
		n.clean(text)
	}
	if _, err := auditor.Read(t.Context(), ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Read of no key, of two = %v, want Invalid", err)
	}
}

func TestTheCopyStaysSmall(t *testing.T) {
	s := newServer(t)
	o := Options{Git: s.git, URL: "git+file://" + s.bare}
	n := newNode(t)
	n.start(o)
	n.brought(3)
	n.stop()
	o.Dir = filepath.Join(n.dir, "repository")
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.git.shrink(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	if got := s.run("-C", r.git.copy, "rev-list", "--count", tipRef); got != "1" {
		t.Errorf("the copy has %s commits, want the last", got)
	}
	n.start(o)
	n.brought(2)
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"git+https://host/acme/audit.git", ""},
		{"git+https://host/acme/audit.git#logs/audit", ""},
		{"git+ssh://git@host:2222/acme/audit.git", ""},
		{"git+file:///srv/audit.git", ""},
		{"git+http://127.0.0.1:80/audit.git", ""},
		{"git+http://host/audit.git", "plain HTTP"},
		{"git+https://jane:secret@host/audit.git", "a user's name or a password"},
		{"git+ssh://jane:secret@host/audit.git", "a user's name or a password"},
		{"git+https://jane@host/audit.git", "a user's name or a password"},
		{"git+ftp://host/audit.git", `"ftp" is no way to a repository`},
		{"git+ext://host/audit.git", "no way"},
		{"git+file://host/srv/audit.git", "names no repository"},
		{"git+file:srv/audit.git", "names no repository"},
		{"git+https:///audit.git", "names no repository"},
		{"git+https://host/", "names no repository"},
		{"git+https://host/a.git?x=secret", "names no repository"},
		{"git+https://host/a.git#-f", "is no name of a branch"},
		{"git+https://host/a.git#a..b", "is no name of a branch"},
		{"git+https://host/a.git#+a", "is no name of a branch"},
		{"git+https://host:x/secret", "cannot be read"},
	} {
		_, _, err := Parse(c.address)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("Parse(%s) = %v, want %q", c.address, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "jane:secret") {
			t.Errorf("Parse(%s) tells the password: %v", c.address, err)
		}
	}
	if _, err := New(Options{URL: "git+ssh://git@host/a.git", Git: "git"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("New without a key for ssh = %v, want Invalid", err)
	}
	if _, err := New(Options{URL: "git+file:///a.git"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("New without git = %v, want Unavailable", err)
	}
}
