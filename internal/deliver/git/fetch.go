package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/gitssh"
	"github.com/dalamb/dalamb/internal/image"
)

// Access opens a repository of another server. Nothing of it is given as an argument.
type Access struct {
	User, Password string // over http and https; "" = nobody asks
	Key            []byte // over ssh, a private key as ssh-keygen writes it
	KnownHosts     string // over ssh, whom to believe; sshd(8)
}

// Bounds of what is asked of another server.
const (
	lookPatience  = time.Minute
	fetchPatience = 10 * time.Minute
	// So many at a time, of all hooks and of one.
	maxLooking, lookingOfHook   = 8, 2
	maxFetching, fetchingOfHook = 4, 1
)

// ErrSuperseded: the branch has gone on, and who tells of that takes over.
var ErrSuperseded = errors.New("a newer push to the same branch took its place")

// notThere is what was told of a ref that is elsewhere now. It is ErrSuperseded, whose words fit only where the ref went on by a push.
func notThere(format string, args ...any) error {
	return fault.New(fault.Conflict, "%w", outdated(fmt.Sprintf(format, args...))).WithHint("nothing is to be done: what became of it since is told of by itself")
}

// outdated is an ErrSuperseded in words of its own.
type outdated string

func (o outdated) Error() string { return string(o) }

func (o outdated) Is(target error) bool { return target == ErrSuperseded }

// look asks the server what the ref is at: what was told of, or it is an error. tip is the object; "" = the ref is gone.
func (in *Incoming) look(ctx context.Context) (tip string, err error) {
	give, err := in.server.looking.take(ctx, in.remote.Hook)
	if err != nil {
		return "", err
	}
	defer give()
	from, done, err := in.open(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	tips, err := from.tips(ctx, in.remote.Ref)
	if err == nil {
		err = in.remote.check(tips)
	}
	if err != nil || len(tips) == 0 {
		return "", err
	}
	return tips[0], nil
}

// fetch brings what the ref was at into dir, and says what that changes there.
func (in *Incoming) fetch(ctx context.Context, dir, tip string) (update, error) {
	s, r := in.server, &in.remote
	u := update{ref: r.Ref, new: r.After}
	old, err := s.program.output(ctx, "--git-dir="+dir, "for-each-ref", "--format=%(objectname)", r.Ref)
	if err != nil {
		return u, err
	}
	if u.old = strings.TrimSpace(string(old)); r.After == "" {
		return u, nil
	}
	give, err := s.fetching.take(ctx, r.Hook)
	if err != nil {
		return u, err
	}
	defer give()
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	from, done, err := in.open(ctx)
	if err != nil {
		return u, err
	}
	defer done()
	if err := image.CheckRoom(s.dir, "what is fetched"); err != nil {
		return u, err
	}
	if err := from.fetch(ctx, dir, r.Ref); err != nil {
		return u, err
	}
	got, err := s.program.output(ctx, "--git-dir="+dir, "for-each-ref", "--format=%(objectname)", incomingRef)
	if err != nil {
		return u, err
	}
	if u.new = strings.TrimSpace(string(got)); u.new != tip {
		return u, notThere("%s was told of, and %s was there when it was fetched: %s", short(r.After), short(u.new), ErrSuperseded)
	}
	return u, nil
}

// check looks whether a ref is at what was told of. tips is what it is at: nothing, an object, or a tag and what that stands for.
func (r *Remote) check(tips []string) error {
	at := ""
	for _, tip := range tips {
		at = tip
		if tip == r.After {
			return nil
		}
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.Ref, "refs/heads/"), "refs/tags/")
	switch {
	case at == r.After: // both are nothing
		return nil
	case r.After == "" && (at == r.Before || r.Before == ""): // a server may tell before all of it knows; Gitea does not say what it was at
		return fault.New(fault.Unavailable, "%s of %s was deleted, and is still there or there again, at %s", name, r.Repository, short(at)).
			WithHint("if it is gone by now, let the provider send this delivery again; if it was made again, nothing is to be done")
	case at == r.Before:
		return fault.New(fault.Unavailable, "%s of %s does not show %s yet", name, r.Repository, short(r.After)).
			WithHint("is the commit there, and is %s where the hook is from?", r.Repository)
	case r.After == "":
		return notThere("%s of %s was deleted, and is there again, at %s: what has its name from the branch stays", name, r.Repository, short(at))
	case at == "":
		return notThere("%s of %s is gone, so that %s is not delivered", name, r.Repository, short(r.After))
	}
	return notThere("%s of %s is at %s, not %s: %s", name, r.Repository, short(at), short(r.After), ErrSuperseded)
}

// remote is a repository of another server, opened.
type remote struct {
	program program
	url     string
	place   string // for people
	hook    string // on whose behalf; "" = somebody only tries
	env     []string
	max     int64 // bytes
}

// open makes ready what opens the repository; done takes it away again.
func (in *Incoming) open(ctx context.Context) (r *remote, done func(), err error) {
	access, err := in.remote.Access()
	if err != nil {
		return nil, nil, err
	}
	if r, done, err = in.server.open(ctx, in.remote.URL, in.remote.Repository, access); err == nil {
		r.hook = in.remote.Hook
	}
	return r, done, err
}

func (s *Server) open(ctx context.Context, address, place string, a Access) (r *remote, done func(), err error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "the URL of %s cannot be read: %w", place, err)
	}
	addresses, err := s.resolve(ctx, u.Hostname())
	if err != nil {
		return nil, nil, err
	}
	r = &remote{program: s.program, url: address, place: place, max: s.maxPush, env: []string{"GIT_ALLOW_PROTOCOL=" + u.Scheme}}
	if u.Scheme != "ssh" {
		if err := s.checkPin(ctx, u); err != nil {
			return nil, nil, err
		}
		r.env = append(r.env, httpSettings(u, addresses, a)...)
		return r, func() {}, nil
	}
	tmp, err := os.MkdirTemp(s.tmp(), "ssh-")
	if err != nil {
		return nil, nil, fmt.Errorf("make room for a key: %w", err)
	}
	done = func() { os.RemoveAll(tmp) } // else the next start does
	key, hosts := filepath.Join(tmp, "key"), filepath.Join(tmp, "known_hosts")
	if err := errors.Join(os.WriteFile(key, append(a.Key, '\n'), 0o600), os.WriteFile(hosts, []byte(a.KnownHosts), 0o600)); err != nil {
		done()
		return nil, nil, fmt.Errorf("make room for a key: %w", err)
	}
	r.env = append(r.env, "GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND="+gitssh.Command(key, hosts, sshPin(u, addresses[0])))
	return r, done, nil
}

// resolve is where a host is. It refuses a name that leads to where no git server is; function.CheckReachable.
func (s *Server) resolve(ctx context.Context, host string) ([]string, error) {
	addresses, err := s.lookup(ctx, host)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the host %s is not found: %w", host, err)
	}
	if len(addresses) == 0 {
		return nil, fault.New(fault.Unavailable, "the host %s has no address", host)
	}
	for _, a := range addresses {
		if err := function.CheckReachable(a); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// httpSettings are git's settings for one server, as environment: what opens the repository, and the addresses that were looked at.
func httpSettings(u *url.URL, addresses []string, a Access) []string {
	var env []string
	set := func(key, value string) {
		n := len(env) / 2
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
	}
	if a.Password != "" {
		set("http."+u.String()+".extraHeader", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(a.User+":"+a.Password)))
	}
	if !isAddress(u.Hostname()) {
		port := u.Port()
		if port == "" {
			port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
		}
		set("http.curloptResolve", u.Hostname()+":"+port+":"+strings.Join(addresses, ","))
	}
	return append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(env)/2))
}

// command is a git that speaks with the server: it follows no redirect, which could lead anywhere and take the token along, waits for nobody
// who is silent, and writes no file larger than the bound.
func (r *remote) command(ctx context.Context, args ...string) *exec.Cmd {
	all := append([]string{"-c", "http.followRedirects=false", "-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60", "-c", "fetch.unpackLimit=1"}, args...)
	cmd := r.program.bounded(ctx, r.max, all...)
	cmd.Env = append(cmd.Env, r.env...)
	return cmd
}

var validTip = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// tips is what the server has a ref at; of a tag that is an object, what that stands for is second.
func (r *remote) tips(ctx context.Context, ref string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	out := &head{most: 64 << 10} // names that end alike are told, too
	if err := r.run(ctx, out, r.command(ctx, "ls-remote", "--quiet", "--", r.url, ref, ref+"^{}")); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out.text)) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if validTip.MatchString(id) {
			found[name] = id
		}
	}
	var tips []string
	for _, name := range []string{ref, ref + "^{}"} {
		if id := found[name]; id != "" {
			tips = append(tips, id)
		}
	}
	return tips, nil
}

// Branches asks a server for the branches of a repository: some of them, where they are many.
func (s *Server) Branches(ctx context.Context, address, place string, a Access) ([]string, error) {
	if s.program.path == "" {
		return nil, noGit()
	}
	r, done, err := s.open(ctx, address, place, a)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	out := &head{most: 64 << 10}
	if err := r.run(ctx, out, r.command(ctx, "ls-remote", "--quiet", "--heads", "--", r.url)); err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(out.text)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "\trefs/heads/"); ok {
			names = append(names, oneLine(name))
		}
	}
	return names, nil
}

func noGit() error {
	return fault.New(fault.Unavailable, "this node's machine has no git, so nothing can be fetched").WithHint("install git there and restart the node")
}

// fetch brings what a ref is at, without what was before it.
func (r *remote) fetch(ctx context.Context, dir, ref string) error {
	err := r.run(ctx, &head{}, r.command(ctx, "--git-dir="+dir, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-maintenance",
		"--depth=1", "--refmap=", "--", r.url, "+"+ref+":"+incomingRef))
	if err == nil {
		return nil
	}
	half, listErr := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	for _, f := range half {
		if !strings.HasPrefix(f.Name(), "tmp_") { // nobody else fetches into dir
			continue
		}
		if info, statErr := f.Info(); statErr == nil && info.Size() >= r.max {
			err = fault.New(fault.TooLarge, "the commit of %s has more than %d MiB as it is sent", r.place, r.max>>20).WithHint("keep large files out of the repository")
		}
		listErr = errors.Join(listErr, os.Remove(filepath.Join(dir, "objects", "pack", f.Name())))
	}
	return errors.Join(err, listErr)
}

func (r *remote) run(ctx context.Context, out *head, cmd *exec.Cmd) error {
	said := &head{most: maxWords}
	cmd.Stdout, cmd.Stderr = out, said
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fault.New(fault.Timeout, "%s did not answer in time", r.place)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if bytes.Contains(bytes.ToLower(said.text), []byte("out of memory")) {
		return fault.New(fault.TooLarge, "what %s sends needs more memory than git may have to read it", r.place).WithHint("keep large files out of the repository")
	}
	if reason := refusedObject(said.text); reason != "" {
		return fault.New(fault.Invalid, "git does not take what %s sends: %s", r.place, reason).WithHint("git fsck in a clone shows it, too; write the commit again without it")
	}
	hint := "is the token, or the key, still good?"
	if bytes.Contains(said.text, []byte("Host key verification failed")) {
		hint = "the server shows another host key than the hook knows: compare the new one with what the provider publishes, then dalamb hook set again, with --known-hosts FILE"
	} else if r.hook != "" {
		hint = "dalamb hook test " + r.hook + " tries it again; " + hint
	}
	return fault.New(fault.Unavailable, "git cannot fetch from %s: %s", r.place, why(said.text)).WithHint("%s", hint)
}

// refusedObject is what git has against an object that it was sent, by its rules for all repositories (git-fsck(1)); "" = nothing. It is the same
// however often that object is sent.
func refusedObject(said []byte) string {
	before, _, refused := bytes.Cut(said, []byte("\nfatal: fsck error"))
	if !refused {
		return ""
	}
	return oneLine(printable(string(bytes.TrimPrefix(before[bytes.LastIndexByte(before, '\n')+1:], []byte("error: ")))))
}

// why is what git says of its end, in one line: what ssh has said before is more than what git makes of it.
func why(said []byte) string {
	var words []string
	said, _, _ = bytes.Cut(said, []byte("\nfatal: Could not read from remote repository."))
	for line := range strings.Lines(string(said)) {
		if line = strings.TrimSpace(line); line != "" {
			words = append(words, printable(line))
		}
	}
	return oneLine(strings.Join(words[max(0, len(words)-2):], "; "))
}
