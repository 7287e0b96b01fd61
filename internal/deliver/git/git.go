// Package git is the node's own git server: repositories that are pushed to over smart HTTP, and the way from a pushed commit to versions
// of the functions in it; commits of other servers, which tell of them by a hook, go the same way (Announce). It does not decide what a deploy is (api does) and keeps no state but the repositories; the git protocol is
// spoken by the machine's git.
//
// A push is delivered before it is accepted: git's pre-receive hook waits while the node reads the pushed commits, which no ref names yet,
// makes versions of what changed and points aliases at them. So a push that git calls successful is live, and one that is refused has
// moved no ref.
package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/build"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one push, and of all of them.
const (
	maxPush      = 1 << 30 // bytes as they are sent, unless Options say otherwise
	maxUpdates   = 1000    // refs
	maxPushes    = 32      // under way at a time
	maxFetches   = 64
	maxFiles     = 1_000_000 // in one commit
	maxPaths     = 128 << 20 // bytes of all their paths
	maxFunctions = 500       // in one commit
)

// stall is how long a client is waited for that sends or takes nothing.
const stall = time.Minute

// Deployer makes versions and takes aliases away.
type Deployer interface {
	// Check says of each function why a release of all of them would be refused; nil = it would not, and then the image that it names is here.
	// Code need not be. found says which image that is.
	Check(ctx context.Context, reqs []wire.DeployRequest) (found []wire.Deployed, errs []error)
	// MayBuild refuses a build that would see secrets which who asks has no right to; fn is the full name of the function that it is for.
	MayBuild(ctx context.Context, fn string, how *function.Build) error
	// Release makes a version of each function and points aliases at them: all of it or nothing. With an error it returns what is made nevertheless,
	// as where a roll-out does not start, which comes after that; the error says it, too.
	Release(ctx context.Context, reqs []wire.DeployRequest) ([]wire.Deployed, error)
	// RemoveAlias takes an alias away that is not live; its versions stay.
	RemoveAlias(ctx context.Context, function, alias string) error
	// Rollout says how far a roll-out of a function is, and returns a channel that is closed when that may have changed.
	Rollout(function string, id int64) (r wire.Rollout, changed <-chan struct{}, err error)
	// Primary is the version that an alias of a function points at; 0 = there is no such alias.
	Primary(function, alias string) int
}

// Code keeps code directories by digest.
type Code interface {
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
}

// Builder makes code from a directory.
type Builder interface {
	Run(ctx context.Context, r build.Request) (*build.Result, error)
}

// Log is what a push needs of the log.
type Log interface {
	Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error)
	// The others are asked where a push may have been told before.
	Topics(ctx context.Context) ([]eventlog.Topic, error)
	Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error)
	Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error)
}

// Options of Open. All are required but where it says so.
type Options struct {
	Dir      string                                   // of all that is kept here
	Program  string                                   // git's path; "" = the machine has none, and every request is answered with that
	Who      func(token string) (access.Actor, error) // who holds a token, which is the password of every user name; or why it is nobody
	Deployer Deployer
	Code     Code
	Builder  Builder // nil = nothing is built
	Log      Log
	MaxPush  int64 // bytes; 0 = 1 GiB
	// Elsewhere says whether a repository of this name was pushed to another node; nil = there is no other.
	Elsewhere func(repository string) bool
	// Removing says whether repositories may be packed anew now, which removes files; done is called then. nil = always.
	Removing func() (done func(), ok bool)
	// RemoteWait is the wait between the first two tries to bring what another server told of; 0 = a second.
	RemoteWait time.Duration
	Logger     *slog.Logger     // nil = nowhere
	Now        func() time.Time // nil = time.Now
}

// Server is the handler of everything below /git/. Safe for concurrent use.
type Server struct {
	dir       string
	program   program
	who       func(token string) (access.Actor, error)
	deployer  Deployer
	code      Code
	builder   Builder
	log       Log
	maxPush   int64
	elsewhere func(repository string) bool
	removing  func() (done func(), ok bool)
	logger    *slog.Logger
	now       func() time.Time

	repositories *repositories
	remotes      *repositories // what was delivered of other servers' repositories
	remoteWait   time.Duration
	remoteTries  int
	lookup       func(ctx context.Context, host string) ([]string, error) // of addresses
	turns        *turns
	pushes       chan struct{} // a place for each push under way
	fetches      chan struct{}
	looking      *places       // of questions to other servers what a ref is at
	fetching     *places       // of fetches from them
	dirty        chan string   // repositories that were pushed to
	telling      chan struct{} // held by who notes what is told of a push
	deploying    chan struct{} // held by the push that deploys: those of several repositories may bring the same functions
}

// Open checks the options, makes the directory and removes what a killed node left in it.
func Open(o Options) (*Server, error) {
	if o.Dir == "" || o.Who == nil || o.Deployer == nil || o.Code == nil || o.Log == nil {
		return nil, errors.New("git needs a directory, who holds which token, who deploys, a code store and a log")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Elsewhere == nil {
		o.Elsewhere = func(string) bool { return false }
	}
	if o.Removing == nil {
		o.Removing = func() (func(), bool) { return func() {}, true }
	}
	if o.MaxPush == 0 {
		o.MaxPush = maxPush
	}
	if o.RemoteWait == 0 {
		o.RemoteWait = remoteWait
	}
	s := &Server{
		dir: o.Dir, who: o.Who, deployer: o.Deployer, code: o.Code, builder: o.Builder, log: o.Log, maxPush: o.MaxPush, elsewhere: o.Elsewhere, removing: o.Removing, logger: o.Logger, now: o.Now,
		program: program{path: o.Program, home: filepath.Join(o.Dir, "home")}, turns: newTurns(),
		pushes: make(chan struct{}, maxPushes), fetches: make(chan struct{}, maxFetches), looking: newPlaces(maxLooking, lookingOfHook), fetching: newPlaces(maxFetching, fetchingOfHook), remoteWait: o.RemoteWait, remoteTries: remoteTries, lookup: net.DefaultResolver.LookupHost, telling: make(chan struct{}, 1), deploying: make(chan struct{}, 1), dirty: make(chan string, 64),
	}
	if o.Program == "" {
		return s, nil
	}
	if err := os.RemoveAll(s.tmp()); err != nil {
		return nil, fmt.Errorf("clean up after pushes: %w", err)
	}
	if err := os.MkdirAll(s.tmp(), 0o700); err != nil {
		return nil, fmt.Errorf("make room for pushes: %w", err)
	}
	if err := s.program.configure(s.maxPush); err != nil {
		return nil, err
	}
	var err error
	if s.repositories, err = openRepositories(filepath.Join(o.Dir, "repositories"), s.tmp(), s.program); err != nil {
		return nil, err
	}
	s.remotes, err = openRepositories(filepath.Join(o.Dir, "remotes"), s.tmp(), s.program)
	return s, err
}

// Find is the path of the machine's git; "" = it has none.
func Find() string {
	path, err := exec.LookPath("git")
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	return path
}

// tmp is for what belongs to one push: its body, and what is checked out of it.
func (s *Server) tmp() string { return filepath.Join(s.dir, "tmp") }

// ServeHTTP answers a request that shows a token whose role may what the request does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := s.who(access.Shown(r))
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="dalamb"`)
		s.fail(w, r, fault.New(fault.Unauthenticated, "%w", err).
			WithHint("give any user name, and a token as password; the node's own is in the file token of the node's data directory"))
		return
	}
	r = r.WithContext(access.With(r.Context(), who))
	at, err := parsePlace(r.Method, r.URL.Path, r.URL.Query().Get("service"))
	if err == nil {
		err = who.May(at.right())
	}
	if err == nil && s.program.path == "" {
		err = &refusal{http.StatusNotImplemented, fault.New(fault.Unavailable, "this node's machine has no git, so nothing can be pushed to it").
			WithHint("install git there and restart the node; dalamb doctor says what it finds")}
	}
	if err == nil {
		err = s.serve(w, r, at)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// serve answers a request; an error is answered by ServeHTTP, so nothing has been written then.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, at place) error {
	places := s.fetches
	if at.service == receivePack {
		places = s.pushes
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return fault.New(fault.Exhausted, "%d others are at it already", cap(places)).WithHint("try again in a moment")
	}
	switch {
	case at.advertise:
		return s.advertise(w, r, at)
	case at.service == receivePack:
		return s.receive(w, r, at)
	}
	return s.upload(w, r, at)
}

// refusal is an error with a status that its kind does not have.
type refusal struct {
	status int
	err    error
}

func (e *refusal) Error() string { return e.err.Error() }

func (e *refusal) Unwrap() error { return e.err }

// fail is the top of a request: the only place that logs its error, and only when dalamb is at fault. git shows an answer that is plain
// text to the person who waits for it.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	k := fault.KindOf(err)
	if k == fault.Internal {
		s.logger.Error("git request", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	status := wire.Status(k)
	if own, ok := errors.AsType[*refusal](err); ok {
		status = own.status
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	for _, line := range complaint(err) {
		_, _ = io.WriteString(w, line+"\n") // the client may be gone
	}
}

// complaint is an error as lines for a terminal.
func complaint(err error) []string {
	lines := []string{"dalamb: " + err.Error()}
	if hint := fault.HintOf(err); hint != "" {
		lines = append(lines, "hint: "+hint)
	}
	return lines
}
