package build

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// job is one build whose turn it is.
type job struct {
	*Request
	plan    *plan
	out     *outlet
	secrets []runner.SecretFile

	// Of the sandbox.
	id    string
	log   *buildLog
	place *workspace
}

// sandboxed runs commands of a job in a sandbox.
func (b *Builds) sandboxed(ctx context.Context, j *job, s runner.Spec) error {
	before, err := measure(j.place.cache, math.MaxInt64)
	if errors.Is(err, errDeep) { // an earlier build left it so
		before, err = 0, j.place.beginAnew()
	}
	if err != nil {
		return b.ended(j, err)
	}
	sb, err := b.runner.Start(ctx, s)
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		return b.ended(j, err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	if j.plan.image != nil {
		watch.Go(func() { j.plan.image.serve(ctx, sb.Listener()) })
	}
	watch.Go(func() {
		if err := b.watchDisk(ctx, j.place, before); err != nil {
			stop(err)
		}
	})
	watch.Go(func() {
		if err := b.watchRoom(ctx); err != nil {
			stop(err)
		}
	})
	select {
	case <-sb.Done():
	case <-ctx.Done():
		sb.Stop(0)
	}
	why := context.Cause(ctx)
	stop(nil)
	watch.Wait()
	j.log.end()
	if why != nil {
		return b.ended(j, why)
	}
	if j.plan.image != nil && j.plan.image.trouble() != nil && sb.Exit().Code != 0 {
		return j.plan.image.trouble()
	}
	return b.judge(j, sb.Exit())
}

var (
	errTimeout = errors.New("the build's time is over")
	errDisk    = errors.New("the build wrote too much")
	errDeep    = errors.New("the build made too many directories in one another")
)

// ended says in words for people why a build was ended, or could not begin.
func (b *Builds) ended(j *job, why error) error {
	switch {
	case errors.Is(why, errTimeout):
		return fault.New(fault.Timeout, "the build is not done within %s, and was ended", j.Build.Timeout).
			WithHint("what waits for something that does not come? a build that needs longer says so with build.timeout")
	case errors.Is(why, errDisk):
		return fault.New(fault.Invalid, "the build wrote more than %s, and was ended", function.Bytes(b.limits.Disk)).
			WithHint("the node gives each build so much with the setting build.disk")
	case errors.Is(why, errDeep):
		return fault.New(fault.Invalid, "the build made more than %d directories in one another, and was ended", maxDepth)
	}
	return why
}

// told adds to the error of a build where what it said is found, when others have scrolled it away.
func (j *job) told(err error) error {
	if k := fault.KindOf(err); k != fault.Invalid && k != fault.Timeout {
		return err // it is not the build that is to blame
	}
	hint := fmt.Sprintf("dalamb build log --id %s shows what it said", j.id)
	if before := fault.HintOf(err); before != "" {
		hint = before + "; " + hint
	}
	return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
}

// judge says what became of commands that have ended by themselves.
func (b *Builds) judge(j *job, e runner.Exit) error {
	switch {
	case e.Start != "":
		return fault.New(fault.Unavailable, "the build could not be started: %s", e.Start).WithHint("does this machine have /bin/sh?")
	case e.OOM:
		return fault.New(fault.Invalid, "the build needed more memory than %s, and was ended", function.Bytes(b.limits.Memory)).
			WithHint("the node gives each build so much with the setting build.memory")
	case e.Code == 0:
		return nil
	}
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != "" {
		how = "ended by " + e.Signal
	}
	err := fault.New(fault.Invalid, "the build failed: %s (%s)", j.plan.name, how)
	switch {
	case j.log.saw(wordsOfForks()):
		return err.WithHint("it may have had more than %d processes and threads, as many as the node gives each build (build.pids)", b.limits.PIDs)
	case j.log.saw(wordsOfNetwork()) && j.Build.Network == function.NetworkNone:
		return err.WithHint("build.network is none: it reaches nothing but what builds before have kept; without it a build may connect to %s", b.reach())
	case j.log.saw(wordsOfNetwork()):
		return err.WithHint("a build may connect to %s, whatever this machine itself can: another place, such as a mirror in your network, is named with the setting build.allow", b.reach())
	}
	return err
}

// reach is where builds may connect to, for people.
func (b *Builds) reach() string {
	if len(b.allow) == 0 {
		return "the internet"
	}
	var places []string
	for _, a := range b.allow {
		places = append(places, placeName(a.Prefix))
	}
	return strings.Join(places, ", ")
}

func placeName(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "the internet"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// spec is the sandbox of a job: it sees the host's programs, its own directories and the way out. No limit of CPU is set: it gets what
// functions leave.
func (b *Builds) spec(j *job) runner.Spec {
	s := runner.Spec{
		ID: "build-" + j.id, Function: "build", Runner: "native", Base: "host", Command: []string{"/bin/sh", "-c", j.plan.script()}, WorkDir: sourceAt,
		Memory: b.limits.Memory, PIDs: b.limits.PIDs, Files: 16384, Background: true, Network: j.Build.Network,
		Mounts: []runner.Mount{
			{Dir: j.place.src(), At: sourceAt, Writable: true}, {Dir: j.place.out(), At: outAt, Writable: true},
			{Dir: j.place.tmp(), At: tmpAt, Writable: true}, {Dir: j.place.cache, At: cacheAt, Writable: true},
		},
		Stdout: j.log.stream(0), Stderr: j.log.stream(1),
	}
	if j.place.standard != "" {
		s.Mounts = append(s.Mounts, runner.Mount{Dir: j.place.standard, At: standardAt})
	}
	if s.Network == function.NetworkEgress {
		s.Allow = b.allow
	}
	tools := b.tools
	if j.plan.image != nil {
		// It is root in there, as whom it would own what is root's: it sees none of the node's own tools.
		tools = nil
		s.Nested, s.Listen, s.Secrets = true, basesPort, &runner.Secrets{Files: j.secrets}
	}
	var paths []string
	for i, dir := range tools {
		at := fmt.Sprintf("%s%d", toolsAt, i)
		s.Mounts = append(s.Mounts, runner.Mount{Dir: filepath.Clean(dir), At: at})
		paths = append(paths, at+"/bin")
	}
	s.Env = append(j.plan.env, "PATH="+strings.Join(append(paths, usualPlaces()...), ":"), "HOME="+tmpAt, "TMPDIR="+tmpAt, "LANG=C.UTF-8", "TZ=UTC", "CI=true",
		"SOURCE_DATE_EPOCH=315532800") // 1980, the earliest that a zip file can say // reproducible-builds.org/specs/source-date-epoch
	s.Env = overlay(s.Env, b.env)
	return s
}

// overlay replaces variables by others of the same name.
func overlay(env, by []string) []string {
	names := map[string]bool{}
	for _, e := range by {
		name, _, _ := strings.Cut(e, "=")
		names[name] = true
	}
	var out []string
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); !names[name] {
			out = append(out, e)
		}
	}
	return append(out, by...)
}
