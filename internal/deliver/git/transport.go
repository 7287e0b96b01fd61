package git

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// advertise tells the refs of a repository. One that is not there is told to who would push as one without refs: the push makes it.
func (s *Server) advertise(w http.ResponseWriter, r *http.Request, at place) error {
	dir, err := s.repositories.find(at.name)
	if fault.KindOf(err) == fault.NotFound && at.service == receivePack {
		dir, err = s.repositories.empty, nil
	}
	if err != nil {
		return err
	}
	cmd := s.service(r, at, "--advertise-refs", dir)
	refs, err := s.program.run(cmd)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-"+at.service+"-advertisement")
	w.Header().Set("Cache-Control", "no-cache")
	if protocol(r, at) != version2 {
		fmt.Fprintf(w, "%04x# service=%s\n0000", len("0000# service=\n")+len(at.service), at.service)
	}
	_, _ = w.Write(refs) // the client may be gone
	return nil
}

// service is the program of the protocol.
func (s *Server) service(r *http.Request, at place, args ...string) *exec.Cmd {
	cmd := s.program.command(r.Context(), append([]string{at.service[len("git-"):], "--stateless-rpc"}, args...)...)
	if p := protocol(r, at); p != "" {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+p)
	}
	return cmd
}

const version2 = "version=2"

var validProtocol = regexp.MustCompile(`^version=[0-2]$`)

// protocol is the version that a client asks for. // gitprotocol-v2(5); there is no second one of pushes
func protocol(r *http.Request, at place) string {
	said := r.Header.Get("Git-Protocol")
	if at.service == receivePack || !validProtocol.MatchString(said) {
		return ""
	}
	return said
}

// maxWants bounds what a fetch says.
const maxWants = 16 << 20

// upload answers a fetch.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, at place) error {
	dir, err := s.repositories.find(at.name)
	if err != nil {
		return err
	}
	body, err := s.spool(w, r, at, maxWants)
	if err != nil {
		return err
	}
	defer body.discard()
	cmd := s.service(r, at, dir)
	said := &head{most: maxWords}
	out := answer(w, at)
	defer out.end()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = body.File, out, said
	if err := cmd.Run(); err != nil && r.Context().Err() == nil {
		s.logger.Warn("a fetch ended early", "repository", at.name, "err", saidBy(cmd, said, err)) // the answer has begun
	}
	return nil
}

// spooled is the body of a request in a file. So a slow client holds no process, and what is too large is refused before git sees it.
type spooled struct{ *os.File }

func (f spooled) discard() {
	f.Close()
	os.Remove(f.Name())
}

func (s *Server) spool(w http.ResponseWriter, r *http.Request, at place, most int64) (spooled, error) {
	if got, want := r.Header.Get("Content-Type"), "application/x-"+at.service+"-request"; got != want {
		return spooled{}, fault.New(fault.Invalid, "the body is %q, not %s", fault.Clip(got), want).WithHint("repositories are for git, not for browsers")
	}
	tooLarge := fault.New(fault.TooLarge, "it is larger than %d MiB", most>>20).WithHint("keep large files out of the repository")
	if r.ContentLength > most {
		return spooled{}, tooLarge
	}
	if err := image.CheckRoom(s.dir, "the push"); err != nil {
		return spooled{}, err
	}
	f, err := os.CreateTemp(s.tmp(), "body-")
	if err != nil {
		return spooled{}, fmt.Errorf("make room for a push: %w", err)
	}
	body := spooled{f}
	n, err := io.Copy(image.WithRoom(s.dir, "the push", f), io.LimitReader(&patient{r: r.Body, deadline: http.NewResponseController(w).SetReadDeadline}, most+1))
	if err == nil && n > most {
		err = tooLarge
	}
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		body, err = s.plain(body, most)
	}
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		body.discard()
		return spooled{}, err
	}
	return body, nil
}

// plain takes a body out of its compression, and the compressed one away.
func (s *Server) plain(packed spooled, most int64) (spooled, error) {
	defer packed.discard()
	f, err := os.CreateTemp(s.tmp(), "body-")
	if err != nil {
		return packed, fmt.Errorf("make room for a push: %w", err)
	}
	body := spooled{f}
	if _, err = packed.Seek(0, io.SeekStart); err != nil {
		return body, err
	}
	z, err := gzip.NewReader(packed)
	if err != nil {
		return body, fault.New(fault.Invalid, "the body says that it is gzip, and is not: %w", err)
	}
	n, err := io.Copy(image.WithRoom(s.dir, "the push", f), io.LimitReader(z, most+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		err = fault.New(fault.Invalid, "the body is no whole gzip: %w", err)
	case err == nil && n > most:
		err = fault.New(fault.TooLarge, "unpacked, the body is larger than %d MiB", most>>20)
	}
	return body, err
}

// patient gives a body up when nothing of it comes for a while.
type patient struct {
	r        io.Reader
	deadline func(time.Time) error
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.deadline(time.Now().Add(stall)) // what cannot have deadlines is not slow
	n, err := p.r.Read(b)
	switch {
	case err == nil, err == io.EOF:
		if err != nil {
			_ = p.deadline(time.Time{})
		}
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fault.New(fault.Timeout, "nothing of the push came for %s", stall)
	}
	return n, fault.New(fault.Invalid, "the push ended before all of it had come: %w", err)
}

// answer begins the answer of a service; what is written goes out at once.
func answer(w http.ResponseWriter, at place) *prompt {
	w.Header().Set("Content-Type", "application/x-"+at.service+"-result")
	w.Header().Set("Cache-Control", "no-cache")
	return &prompt{w: w, control: http.NewResponseController(w)}
}

// prompt passes what git says on as it comes. When the client has gone it takes the rest and drops it: git shall end as if it had not.
type prompt struct {
	w       io.Writer
	control *http.ResponseController
	gone    bool
}

func (p *prompt) Write(b []byte) (int, error) {
	if p.gone {
		return len(b), nil
	}
	_ = p.control.SetWriteDeadline(time.Now().Add(stall)) // what cannot have deadlines is not slow
	_, err := p.w.Write(b)
	if err == nil {
		err = p.control.Flush()
	}
	p.gone = err != nil && !errors.Is(err, http.ErrNotSupported)
	return len(b), nil
}

// end takes the deadline away: it is the connection's, which may serve others.
func (p *prompt) end() { _ = p.control.SetWriteDeadline(time.Time{}) }
