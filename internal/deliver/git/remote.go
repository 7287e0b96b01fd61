package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Remote is what another git server told of one of its branches or tags.
type Remote struct {
	Hook       string // that was told, by name
	URL        string
	Repository string // for people
	Ref        string // whole
	Before     string // commits, as they were told; "" = none
	After      string
	Forced     bool
	Pusher     string
	Link       string // to After, for people; "" = none
	ID         string // of the event that tells of it, the same when it is brought again
	// Access is what opens the repository now. It is asked for before each try.
	Access func() (Access, error)
}

// How often what may go better later is tried, and how long the first wait between two tries is; each is twice the one before.
const (
	remoteTries = 6
	remoteWait  = time.Second
)

// Incoming is a Remote that is to be brought.
type Incoming struct {
	server *Server
	remote Remote
	holder *holder
	end    ending
	said   lines
	tries  int
	made   []PushedFunction
}

// Announce gives what was told its place in the order of its ref: what is announced later is newer, and ends what was before unless that
// deploys already, if the ref is where it says. Bring must be called.
func (s *Server) Announce(r Remote) *Incoming {
	in := &Incoming{server: s, remote: r}
	in.holder = s.turns.enter(in.end.say)
	return in
}

// ending ends what may not have begun yet.
type ending struct {
	mu     sync.Mutex
	why    error
	cancel context.CancelCauseFunc // nil = it has not begun
}

func (e *ending) say(why error) {
	e.mu.Lock()
	e.why = why
	cancel := e.cancel
	e.mu.Unlock()
	if cancel != nil {
		cancel(why)
	}
}

func (e *ending) begin(cancel context.CancelCauseFunc) {
	e.mu.Lock()
	e.cancel = cancel
	why := e.why
	e.mu.Unlock()
	if why != nil {
		cancel(why)
	}
}

// Bring fetches exactly the commit that was told of, if its branch is still there, and delivers it as a push to this node would be.
// ErrSuperseded where the branch has gone on. It may be called once; whoever is killed in it announces and brings again.
func (in *Incoming) Bring(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in.end.begin(cancel)
	defer in.server.turns.leave(in.holder)
	if in.server.program.path == "" {
		return noGit()
	}
	var err error
	for wait := in.server.remoteWait; err == nil; wait *= 2 {
		in.tries++
		if err = in.try(ctx); err == nil {
			return nil
		}
		if !fault.Retryable(err) || in.tries >= in.server.remoteTries || ctx.Err() != nil {
			break
		}
		in.server.turns.loosen(in.holder)
		in.server.logger.Warn("bring what a hook told of", "hook", in.remote.Hook, "ref", in.remote.Ref, "err", err)
		err = in.pause(ctx, wait)
	}
	return cause(ctx, err)
}

// Said is what git push would have shown; Functions are those that it was delivered to, and Tries is how often it was tried. They are valid
// after Bring.
func (in *Incoming) Said() []string              { return in.said.list() }
func (in *Incoming) Functions() []PushedFunction { return in.made }
func (in *Incoming) Tries() int                  { return in.tries }

func (in *Incoming) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try does all of it once. It looks before it takes the turn: an old request that is sent again, by whomever, must not end what is under way.
func (in *Incoming) try(ctx context.Context) (err error) {
	s, r := in.server, in.remote
	in.said.clear()
	tip, err := in.look(ctx)
	if err != nil {
		return err
	}
	if err := s.turns.take(ctx, in.holder, []string{r.key()}); err != nil {
		return err
	}
	dir, release, err := s.remotes.claim(ctx, r.mirror())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	u, err := in.fetch(ctx, dir, tip)
	if err != nil {
		return errors.Join(err, in.forget(ctx, dir))
	}
	if u.new != "" && u.new == u.old {
		fmt.Fprintf(&in.said, " %s is delivered already\n", short(u.new))
		return in.forget(ctx, dir)
	}
	p := &push{
		server: s, repository: r.Repository, dir: dir, pusher: oneLine(r.Pusher), holder: in.holder, out: &in.said,
		remote: &in.remote,
	}
	if err := p.deliver(access.With(ctx, access.Acting("hook/"+r.Hook)), []update{u}); err != nil {
		return errors.Join(err, in.forget(ctx, dir))
	}
	in.made = p.made
	return in.keep(ctx, dir, u)
}

// incomingRef names what was fetched until it is delivered.
const incomingRef = "refs/dalamb/incoming"

// keep remembers what is delivered: what the next commit delivers no longer is told by it. Tags are not delivered.
func (in *Incoming) keep(ctx context.Context, dir string, u update) error {
	change := "update " + u.ref + " " + u.new + "\n"
	_, branch := u.branch()
	gone := !branch || u.new == ""
	if gone {
		change = "delete " + u.ref + "\n"
	}
	if err := errors.Join(in.updateRefs(ctx, dir, change), in.forget(ctx, dir)); err != nil {
		return err
	}
	in.server.forgetSteps(dir, []string{u.ref})
	if gone {
		return nil
	}
	if _, err := in.server.program.output(context.WithoutCancel(ctx), "--git-dir="+dir, "gc", "--auto", "--quiet"); err != nil {
		in.server.logger.Warn("a repository could not be packed", "hook", in.remote.Hook, "err", err)
	}
	return nil
}

func (in *Incoming) forget(ctx context.Context, dir string) error {
	return in.updateRefs(ctx, dir, "delete "+incomingRef+"\n")
}

func (in *Incoming) updateRefs(ctx context.Context, dir, change string) error {
	cmd := in.server.program.command(context.WithoutCancel(ctx), "--git-dir="+dir, "update-ref", "--stdin")
	cmd.Stdin = strings.NewReader(change)
	_, err := in.server.program.run(cmd)
	return err
}

// key is what one at a time has the turn of; no repository has such a name.
func (r *Remote) key() string { return "hook/" + r.Hook + " " + r.Ref }

// mirror names the repository that holds what was delivered of one ref: none is touched by two at a time, and it goes with its branch.
func (r *Remote) mirror() string {
	sum := sha256.Sum256([]byte(r.URL + "\n" + r.Ref))
	return fmt.Sprintf("%s-%x", r.Hook, sum[:8])
}

// DropRemotes removes what is kept of hooks that are no more.
func (s *Server) DropRemotes(ctx context.Context, keep func(hook string) bool) error {
	if s.remotes == nil {
		return nil
	}
	list, err := os.ReadDir(s.remotes.dir)
	if err != nil {
		return fmt.Errorf("list what was fetched: %w", err)
	}
	for _, e := range list {
		name := strings.TrimSuffix(e.Name(), ".git")
		if i := strings.LastIndexByte(name, '-'); i < 0 || keep(name[:i]) {
			continue
		}
		if err := s.remotes.remove(ctx, name); err != nil && fault.KindOf(err) != fault.Conflict { // it is in use: the next start will do
			return err
		}
	}
	return nil
}

// maxSaid bounds, in bytes, what is kept of what would have been said.
const maxSaid = 16 << 10

// lines keeps what is said to nobody. Safe for concurrent use.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b[:min(len(b), maxSaid-l.text.Len())])
	return len(b), nil
}

func (l *lines) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *lines) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for line := range strings.Lines(l.text.String()) {
		out = append(out, strings.TrimRight(strings.TrimPrefix(line, " "), "\n"))
	}
	return out
}

// originOf is what a version records of a commit that a hook told of.
func (r *Remote) originOf(c *change, pusher string) *function.Origin {
	return &function.Origin{
		Kind: function.OriginWebhook, Repository: r.Repository, Commit: c.commit.ID, Branch: oneLine(c.branch), Author: c.commit.Author, Pusher: pusher, URL: r.Link,
	}
}
