package git

import (
	"context"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// held is a code store that a test can hold a push in.
type held struct {
	Code
	mu      sync.Mutex
	reached chan struct{} // closed by the first push that comes; nil = none is held
	release chan struct{}
}

func (c *held) hold(ctx context.Context) error {
	c.mu.Lock()
	reached := c.reached
	c.reached = nil
	c.mu.Unlock()
	if reached == nil {
		return nil
	}
	close(reached)
	select {
	case <-c.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// holdBuild holds the first push before it deploys: when the node is asked whether it would refuse.
func (h *host) holdBuild() *held {
	c := &held{reached: make(chan struct{}), release: make(chan struct{})}
	inner := h.server.deployer
	h.server.deployer = heldDeployer{inner, c, true}
	return c
}

// holdDeploy holds it in its first deploy.
func (h *host) holdDeploy() *held {
	c := &held{reached: make(chan struct{}), release: make(chan struct{})}
	h.server.deployer = heldDeployer{h.server.deployer, c, false}
	return c
}

type heldDeployer struct {
	Deployer
	held *held
	dry  bool
}

func (d heldDeployer) Check(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, []error) {
	if d.dry {
		if err := d.held.hold(ctx); err != nil {
			return nil, []error{err}
		}
	}
	return d.Deployer.Check(ctx, reqs)
}

func (d heldDeployer) Release(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, error) {
	if !d.dry {
		if err := d.held.hold(ctx); err != nil {
			return nil, err
		}
	}
	return d.Deployer.Release(ctx, reqs)
}

// pushing is a push under way.
type pushing struct {
	said string
	ok   bool
	done chan struct{}
}

func (w *work) start(args ...string) *pushing {
	p := &pushing{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		out, err := w.command(append([]string{"push"}, args...)...).CombinedOutput()
		p.said, p.ok = string(out), err == nil
	}()
	return p
}

// two clones of a repository, each with a commit of its own upon the same one.
func (h *host) two(t *testing.T) (a, b *work) {
	t.Helper()
	a, b = newWork(t), newWork(t)
	a.commit("first", shop())
	a.pushed(h.url, "main")
	b.git("pull", "-q", h.url, "main")
	a.commit("of a", map[string]string{"web/main.py": "print('a')\n"})
	b.commit("of b", map[string]string{"web/main.py": "print('b')\n"})
	return a, b
}

func TestANewerPushEndsOneThatHasNotBegunToDeploy(t *testing.T) {
	h := newHost(t)
	a, b := h.two(t)
	c := h.holdBuild()
	reached := c.reached
	older := a.start(h.url, "main")
	within(t, "the older push", reached)
	wantText(t, b.pushed(h.url, "main"), "web                  version 2 (live)  deployed")
	within(t, "the end of the older push", older.done)
	wantText(t, older.said, "remote: dalamb: a newer push to the same branch took its place",
		"remote: hint: the newer one does not have all that this one brings: git fetch, merge, then push again", "[remote rejected]")
	if older.ok || len(h.versions["web"]) != 2 {
		t.Errorf("the older push: %v, versions of web %d; want it refused and 2", older.ok, len(h.versions["web"]))
	}
}

// What the newer push has, too, is not to be pushed again; what it has not, is, be it of another branch.
func TestAnEndedPushIsToldWhetherAnythingIsLost(t *testing.T) {
	for _, c := range []struct {
		name         string
		older, newer []string
		lost         bool
	}{
		{"the next commit", []string{"main"}, []string{"main"}, false},
		{"another branch beside it", []string{"main", "main:topic"}, []string{"main"}, true},
		{"both branches", []string{"main", "main:topic"}, []string{"main", "main:topic"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			a, b := newWork(t), newWork(t)
			a.commit("first", shop())
			a.pushed(h.url, "main")
			a.commit("second", map[string]string{"web/main.py": "print('a')\n"})
			b.git("pull", "-q", a.dir, "main")
			b.commit("third", map[string]string{"web/main.py": "print('b')\n"})
			held := h.holdBuild()
			reached := held.reached
			older := a.start(append([]string{h.url}, c.older...)...)
			within(t, "the older push", reached)
			b.pushed(append([]string{h.url}, c.newer...)...)
			within(t, "the end of the older push", older.done)
			hint := "hint: nothing is to be done"
			if c.lost {
				hint = "hint: the newer one does not have all that this one brings"
			}
			wantText(t, older.said, "a newer push to the same branch took its place", hint)
		})
	}
}

func TestANewerPushWaitsForOneThatDeploys(t *testing.T) {
	h := newHost(t)
	a, b := h.two(t)
	c := h.holdDeploy()
	reached := c.reached
	older := a.start(h.url, "main")
	within(t, "the older push", reached)
	newer := b.start(h.url, "main")
	h.awaitHolders(t, 2)
	close(c.release)
	within(t, "the older push", older.done)
	within(t, "the newer push", newer.done)
	wantText(t, older.said, "version 2 (live)  deployed")
	wantText(t, newer.said, "refs/heads/main was pushed by somebody else at the same time", "hint: git fetch")
	if !older.ok || newer.ok || len(h.versions["web"]) != 2 {
		t.Errorf("older %v, newer %v, versions of web %d; want true, false, 2", older.ok, newer.ok, len(h.versions["web"]))
	}
}

// awaitHolders waits until so many pushes have entered since the one before the test's.
func (h *host) awaitHolders(t *testing.T, n int64) {
	t.Helper()
	for ctx := t.Context(); ; {
		h.server.turns.mu.Lock()
		last := h.server.turns.last
		h.server.turns.mu.Unlock()
		if last >= n+1 || ctx.Err() != nil {
			return
		}
		runtime.Gosched()
	}
}

func TestPushesToTwoBranchesDoNotWaitForEachOther(t *testing.T) {
	h := newHost(t)
	a, b := h.two(t)
	c := h.holdBuild()
	reached := c.reached
	first := a.start(h.url, "main")
	within(t, "the first push", reached)
	b.pushed(h.url, "main:topic")
	close(c.release)
	within(t, "the first push", first.done)
	if !first.ok {
		t.Errorf("the first push:\n%s", first.said)
	}
}

// A client that is killed ends its push where nothing is deployed yet, and does not where something is.
func TestAClientThatGoesAway(t *testing.T) {
	for _, c := range []struct {
		name  string
		hold  func(*host) *held
		moved bool
	}{
		{"before", (*host).holdBuild, false},
		{"while it is deployed", (*host).holdDeploy, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			a, b := h.two(t)
			held := c.hold(h)
			reached := held.reached
			cmd := a.command("push", h.url, "main")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			within(t, "the push", reached)
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed
			if c.moved {
				close(held.release)
			}
			// The branch is free again when the push has ended.
			b.push(h.url, "main")
			refs, id := h.refs(b), a.git("rev-parse", "HEAD")
			if strings.Contains(refs, id) != c.moved || len(h.versions["web"]) != 2 {
				t.Errorf("refs are\n%s\nmoved to %s: want %v; %d versions", refs, id, c.moved, len(h.versions["web"]))
			}
		})
	}
}

func TestTurns(t *testing.T) {
	turns := newTurns()
	var causes []error
	enter := func() *holder {
		i := len(causes)
		causes = append(causes, nil)
		return turns.enter(func(err error) { causes[i] = err })
	}
	first, second, third := enter(), enter(), enter()
	if err := turns.take(t.Context(), first, []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- turns.take(t.Context(), third, []string{"a"}) }()
	turns.leave(first)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := turns.take(t.Context(), second, []string{"c", "a"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an older push takes the turn of a newer one: %v, want that it was superseded", err)
	}
	turns.leave(second)
	if !turns.fix(third) || turns.end(third) {
		t.Error("a push that is fixed was ended")
	}
	fourth := enter()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)
	if err := turns.take(ctx, fourth, []string{"a"}); err != os.ErrDeadlineExceeded || causes[2] != nil {
		t.Errorf("waiting for a fixed push: %v, its cause %v; want the wait's own end and none", err, causes[2])
	}
	turns.leave(fourth)
	turns.leave(third)
	fifth := enter()
	if turns.end(fifth); turns.fix(fifth) {
		t.Error("a push that was ended can be fixed")
	}
	turns.leave(fifth)
	if len(turns.holders) != 0 {
		t.Errorf("holders are left: %v", turns.holders)
	}
}
