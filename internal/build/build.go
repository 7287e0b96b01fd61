// Package build makes the code of a function from its source: by the language's own tools, in a sandbox of its own that may take what functions
// leave of the machine, and nothing of the host but the tools. It decides neither what a version is (api does) nor when one is made.
//
// A build gets a copy of a directory and is done when its result is in the code store; whatever goes wrong before leaves nothing but its
// log. What it keeps for the next one (modules, compiled packages) is seen by builds of the same scope alone.
package build

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// Runner makes the sandboxes.
type Runner interface {
	Start(ctx context.Context, s runner.Spec) (runner.Sandbox, error)
}

// Code keeps code directories by digest.
type Code interface {
	Put(ctx context.Context, archive io.Reader) (digest string, err error)
}

// Secrets opens secrets by their full names.
type Secrets interface {
	Secret(name string) ([]byte, error)
}

// Limits bound one build. Zero fields have a default.
type Limits struct {
	Memory int64 // bytes; 0 = 2 GiB
	Disk   int64 // bytes that it may write, what it keeps included; 0 = 4 GiB
	Cache  int64 // bytes that builds of one scope may keep; over it they begin anew; 0 = 4 GiB
	PIDs   int   // processes and threads; 0 = 1024
}

// Options of Open. All are required but where it says so.
type Options struct {
	Dir      string // of all that is kept here
	Runner   Runner
	Code     Code
	Log      Log              // is told of each build
	Images   Images           // nil = no image is built
	Secrets  Secrets          // nil = there are none
	Pinned   bool             // a Dockerfile names its images by digest
	Parallel int              // builds at a time; 0 = 2
	Env      []string         // KEY=value, for every build; may be empty
	Allow    []runner.Allowed // where builds may connect to; none = the internet
	Tools    []string         // directories of the host, each with a bin, beside the usual places; may be empty
	Limits   Limits
	Logger   *slog.Logger     // nil = nowhere
	Now      func() time.Time // nil = time.Now
}

// Builds runs builds and keeps their logs. Safe for concurrent use.
type Builds struct {
	dir     string
	runner  Runner
	code    Code
	log     Log
	images  Images
	secrets Secrets
	pinned  bool
	env     []string
	allow   []runner.Allowed
	tools   []string
	limits  Limits
	logger  *slog.Logger
	now     func() time.Time
	room    func() error // why the disk takes no more
	queue   *queue
	key     *Key
	untold  []string // ids of builds whose end a node before has not told

	underWay underWay
	standard standard

	mu     sync.Mutex
	caches map[string]int // builds that use one just now, by its name
}

// Request asks for a build.
type Request struct {
	Dir      string           // the source; it is only read
	Build    function.Build   // of a type that builds: neither auto nor none
	Function string           // full name
	Beside   []string         // other functions of its environment that get the same code
	Programs []string         // paths below the code of what functions are started from; a compiler's result is called so
	Scope    string           // builds of one scope share what they keep; in words for people, such as function pay
	Origin   *function.Origin // of the source, as far as the node knows it itself; nil = it does not
	Out      io.Writer        // gets what the build says, line by line; nil = nobody
}

// Same is equal for requests of one directory that make the same: of one environment, whose secrets a build sees. Every word is quoted, so that no
// two of them are taken for one.
func (r *Request) Same() string {
	return fmt.Sprintf("%q %#v %q %q", r.Dir, r.Build, r.Programs, function.Environment(r.Function))
}

// Result is code, or an image, that is in its store.
type Result struct {
	Code  string // digest of the code; of the image where it is one
	Image string // reference to the image, by its digest; "" = it is code
	Built *function.Built
}

// Open checks the options, makes the directory and removes what a killed node left in it.
func Open(o Options) (*Builds, error) { return open(o, removeTree) }

func open(o Options, remove func(dir string) error) (*Builds, error) {
	if o.Dir == "" || o.Runner == nil || o.Code == nil || o.Log == nil {
		return nil, errors.New("builds need a directory, a runner, a code store and a log")
	}
	for _, dir := range o.Tools {
		if info, err := os.Stat(filepath.Join(dir, "bin")); err != nil || !info.IsDir() {
			return nil, fault.New(fault.Invalid, "setting build.tools: there is no directory %s", filepath.Join(dir, "bin")).
				WithHint("name the directory that has bin/go, bin/cargo or the like, such as /opt/go1.27; or leave it out")
		}
	}
	if o.Parallel <= 0 {
		o.Parallel = 2
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Builds{
		dir: o.Dir, runner: o.Runner, code: o.Code, log: o.Log, images: o.Images, secrets: o.Secrets, pinned: o.Pinned, env: o.Env, allow: o.Allow, tools: o.Tools, limits: o.Limits.complete(), logger: o.Logger, now: o.Now,
		room: func() error { return image.CheckRoom(o.Dir, "the build") }, queue: newQueue(o.Parallel), caches: map[string]int{},
		underWay: underWay{cancels: map[int64]context.CancelCauseFunc{}}, standard: newStandard(),
	}
	if err := remove(b.work()); err != nil {
		// Directories of builds have names of their own: these are in nobody's way.
		b.logger.Warn("what builds of before have left could not be removed", "dir", b.work(), "err", err)
	}
	for _, dir := range []string{b.work(), b.cacheDir(), b.records(), b.stories()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make room for builds: %w", err)
		}
	}
	if err := errors.Join(durable.Sweep(o.Dir), durable.Sweep(b.records()), durable.Sweep(b.stories())); err != nil {
		return nil, err
	}
	var err error
	if b.untold, err = b.left(); err != nil {
		return nil, err
	}
	b.key, err = loadKey(filepath.Join(o.Dir, "signing.key"))
	return b, err
}

// Key is what the node signs with what it says of its builds.
func (b *Builds) Key() *Key { return b.key }

func (l Limits) complete() Limits {
	if l.Memory <= 0 {
		l.Memory = 2 << 30
	}
	if l.Disk <= 0 {
		l.Disk = 4 << 30
	}
	if l.Cache <= 0 {
		l.Cache = 4 << 30
	}
	if l.PIDs <= 0 {
		l.PIDs = 1024
	}
	return l
}

func (b *Builds) work() string     { return filepath.Join(b.dir, "work") }
func (b *Builds) cacheDir() string { return filepath.Join(b.dir, "cache") }
func (b *Builds) records() string  { return filepath.Join(b.dir, "log") }

// Run makes code. It blocks while others are built, then until this one is done; when ctx ends so does the build, and when Serve does. What the
// source is to blame for is an error of kind Invalid or Timeout.
func (b *Builds) Run(ctx context.Context, r Request) (*Result, error) {
	if err := r.Build.Validate(); err != nil {
		return nil, err
	}
	if err := r.checkPrograms(); err != nil {
		return nil, err
	}
	if r.Out == nil {
		r.Out = io.Discard
	}
	plan, err := b.plan(&r)
	if err != nil {
		return nil, err
	}
	secrets, err := b.open(&r)
	if err != nil {
		return nil, err
	}
	out := newOutlet(r.Out)
	defer out.close() // when the place is free again: who reads slowly holds up nobody
	ctx, over, err := b.underWay.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer over()
	leave, err := b.queue.enter(ctx, r.Scope, func(before ahead) { out.say("waiting for " + before.words(r.Scope)) })
	if err != nil {
		return nil, err
	}
	defer leave()
	return b.run(ctx, &job{Request: &r, plan: plan, out: out, secrets: secrets})
}

// maxPrograms is how many functions one build can be for.
const maxPrograms = 64

func (r *Request) checkPrograms() error {
	if len(r.Programs) > maxPrograms {
		return fault.New(fault.Invalid, "programs: %d are more than %d", len(r.Programs), maxPrograms)
	}
	for _, p := range r.Programs {
		if !filepath.IsLocal(p) || filepath.Clean(p) != p || len(p) > image.MaxPath || strings.ContainsAny(p, "\x00\n") {
			return fault.New(fault.Invalid, "programs: %q is no path below the code", fault.Clip(p))
		}
	}
	return nil
}

// words say to whose turn a build of a scope comes after.
func (a ahead) words(scope string) string {
	switch {
	case a.own && scope != "":
		return "another build of " + scope
	case a.builds == 1:
		return "another build"
	}
	return fmt.Sprintf("%d other builds", a.builds)
}

// run is Run when it is this build's turn.
func (b *Builds) run(ctx context.Context, j *job) (result *Result, err error) {
	r, p := j.Request, j.plan
	if err := b.room(); err != nil {
		return nil, err
	}
	built := &function.Built{ID: strings.ToLower(rand.Text()), Builder: r.Build.Type, How: &r.Build, Started: b.now().UTC()}
	story, err := b.begin(ctx, r, built)
	if err != nil {
		return nil, err
	}
	defer func() { story.end(ctx, built, result, err) }() // when its log is whole
	log, err := newLog(b.logFile(built.ID), j.out, hidden(j.secrets))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	log.say("building with %s", p.name)
	w, err := b.workspace(ctx, built.ID, r)
	if err != nil {
		return nil, err
	}
	built.Source = w.source
	defer func() {
		if rerr := w.remove(); rerr != nil {
			b.logger.Warn("a build's directory could not be removed", "build", built.ID, "err", rerr)
		}
	}()
	j.id, j.log, j.place = built.ID, log, w
	result, err = b.make(ctx, j)
	if err != nil {
		err = j.told(err)
		log.say("%v", err)
		return nil, err
	}
	if p.versioned {
		built.Toolchain = log.toolchain()
	}
	if result.Built = built; p.image != nil {
		built.Bases = p.image.served()
	}
	built.Took = function.Duration(b.now().Sub(built.Started).Round(time.Millisecond))
	if err := b.sign(r, result.Code, built); err != nil {
		return nil, err
	}
	log.say("built in %s", built.Took)
	return result, b.record(&record{Function: r.Function, Code: result.Code, Built: built})
}

// notCode says why what a build made is no code. An IgnoreFile leaves out what is not built from, so that of what is made it can leave out nothing.
func notCode(err error) error {
	hint := fault.HintOf(err)
	if strings.Contains(hint, image.IgnoreFile) {
		hint = "what a build makes is the code, all of it: remove that at the end of the build's command, or name a directory without it as build.output"
	}
	return fault.New(fault.KindOf(err), "what the build made cannot be the code: %w", err).WithHint("%s", hint)
}

// make runs the commands of a job and puts what they made into its store.
func (b *Builds) make(ctx context.Context, j *job) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.Build.Timeout.Std(), errTimeout)
	defer cancel()
	if j.plan.standard {
		if err := b.useStandard(ctx, j); err != nil {
			return nil, err
		}
	}
	if err := b.sandboxed(ctx, j, b.spec(j)); err != nil {
		return nil, err
	}
	if j.plan.image != nil {
		return b.takeImage(ctx, j)
	}
	out, err := j.place.output(j.Request, j.plan)
	if err != nil {
		return nil, err
	}
	code, err := image.PutDirectory(ctx, b.code, out)
	if err != nil {
		return nil, notCode(err)
	}
	return &Result{Code: code}, nil
}
