package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
)

// receive takes a push. git does all of the protocol; when its hook asks, the push is delivered.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, at place) error {
	body, err := s.spool(w, r, at, s.maxPush)
	if err != nil {
		return err
	}
	defer body.discard()
	_, missing := s.repositories.find(at.name)
	dir, release, err := s.repositories.claim(r.Context(), at.name)
	if err != nil {
		return err
	}
	defer func() {
		if err := release(); err != nil {
			s.logger.Warn("a repository could not be given back", "repository", at.name, "err", err)
		}
	}()
	// A client that goes away ends the push, but not between the first version that it makes and the ref that moves. A newer push ends
	// the work alone, so that git can tell why.
	running, kill := context.WithCancel(context.WithoutCancel(r.Context()))
	defer kill()
	working, cancel := context.WithCancelCause(running)
	defer cancel(nil)
	user, _, _ := r.BasicAuth()
	p := &push{server: s, repository: at.name, dir: dir, pusher: oneLine(user), holder: s.turns.enter(cancel), stray: missing != nil && s.elsewhere(at.name)}
	defer s.turns.leave(p.holder)
	stop := context.AfterFunc(r.Context(), func() {
		if s.turns.end(p.holder) {
			kill()
		}
	})
	defer stop()

	asked, verdict, err := newHookPipes()
	if err != nil {
		return err
	}
	defer asked.close()
	defer verdict.close()
	cmd := s.program.command(running, "receive-pack", "--stateless-rpc", dir)
	cmd.ExtraFiles = []*os.File{asked.w, verdict.r} // 3 and 4 in hook.sh
	said := &head{most: maxWords}
	out := answer(w, at)
	defer out.end()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = body.File, out, said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start git receive-pack: %w", err)
	}
	// The child has its own ends now; without these it is seen when the child closes them.
	asked.w.Close()
	verdict.r.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		p.answer(working, asked.r, verdict.w)
	}()
	err = cmd.Wait()
	asked.r.Close() // a git that ended before its hook ran
	<-answered
	if err != nil && running.Err() == nil {
		s.logger.Warn("a push ended early", "repository", at.name, "err", saidBy(cmd, said, err)) // the answer has begun
	}
	if p.accepted {
		s.forgetSteps(dir, p.moved(running))
		p.setHead(running)
		select {
		case s.dirty <- at.name:
		default: // the next push to it will do
		}
	}
	return nil
}

// pipe is an os.Pipe.
type pipe struct{ r, w *os.File }

func (p pipe) close() {
	p.r.Close() // closed already where that had to be earlier
	p.w.Close()
}

func newHookPipes() (asked, verdict pipe, err error) {
	if asked.r, asked.w, err = os.Pipe(); err != nil {
		return asked, verdict, fmt.Errorf("make room for a push: %w", err)
	}
	if verdict.r, verdict.w, err = os.Pipe(); err != nil {
		asked.close()
		return asked, verdict, fmt.Errorf("make room for a push: %w", err)
	}
	return asked, verdict, nil
}

// answer is the node's side of hook.sh. It says nothing to a git that ended without asking.
func (p *push) answer(ctx context.Context, question io.Reader, verdict io.WriteCloser) {
	var rest sync.WaitGroup
	defer rest.Wait()
	defer verdict.Close()
	quarantine, updates, err := readQuestion(question)
	if err == io.EOF {
		return
	}
	// The hook listens when it has said all, also what nobody wants to know. The end is when git ends, which holds the pipe too.
	rest.Go(func() { _, _ = io.Copy(io.Discard, question) })
	p.out = verdict
	if err == nil {
		err = p.setQuarantine(quarantine)
	}
	if err == nil {
		err = p.deliver(ctx, updates)
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return // the client has gone, and git with it
	}
	if err != nil {
		p.refuse(cause(ctx, err))
		return
	}
	p.accepted = true
	_, _ = io.WriteString(verdict, "accept\n") // git is gone: then no ref moves
}

// update is what a push wants of one ref.
type update struct {
	ref      string
	old, new string // object ids; "" = none
}

func (u update) branch() (string, bool) { return strings.CutPrefix(u.ref, "refs/heads/") }

const maxLine = 8192 // bytes; a ref has at most 4096 on common file systems

var validUpdate = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs/(?:heads|tags)/[^\x00-\x20\x7f~^:?*\[\\]+)$`)

// readQuestion reads what hook.sh says. io.EOF where nothing was said.
func readQuestion(r io.Reader) (quarantine string, updates []update, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return "", nil, io.EOF
	}
	quarantine = lines.Text()
	for lines.Scan() {
		if lines.Text() == "" {
			return quarantine, updates, nil
		}
		m := validUpdate.FindStringSubmatch(lines.Text())
		if m == nil {
			return "", nil, notTaken(lines.Text())
		}
		if len(updates) == maxUpdates {
			return "", nil, fault.New(fault.TooLarge, "the push has more than %d refs", maxUpdates).WithHint("push them in several steps")
		}
		updates = append(updates, update{ref: m[3], old: objectID(m[1]), new: objectID(m[2])})
	}
	return "", nil, fault.New(fault.Internal, "git's hook ended before it had said all")
}

// notTaken refuses an update of a ref that is neither a branch nor a tag.
func notTaken(line string) error {
	words := strings.SplitN(line, " ", 3) // as git gives them to a hook: old, new, ref; githooks(5)
	ref := words[len(words)-1]
	last := ref[strings.LastIndexByte(ref, '/')+1:]
	return fault.New(fault.Invalid, "%q is neither a branch nor a tag, and no other ref is taken", fault.Clip(ref)).
		WithHint("push it as a branch or as a tag: git push REMOTE COMMIT:refs/heads/%[1]s, or COMMIT:refs/tags/%[1]s", fault.Clip(last))
}

// objectID is an id as git writes it, whose zeros mean none.
func objectID(id string) string {
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

// setQuarantine takes over where the objects of the push are.
func (p *push) setQuarantine(path string) error {
	if path == "" {
		return nil // a push without new objects
	}
	objects := filepath.Join(p.dir, "objects")
	if at, err := filepath.Rel(objects, path); err != nil || !filepath.IsLocal(at) {
		return fault.New(fault.Internal, "git has its new objects in %s, outside of %s", path, objects)
	}
	p.quarantine = path
	return nil
}
