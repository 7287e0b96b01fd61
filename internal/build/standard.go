package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// standardAt is where a build sees what is compiled of Go itself.
const standardAt = runner.MountRoot + "/standard"

// standard is what this process knows of Go's own packages that are compiled for all: the one thing that builds of different scopes share. It is
// compiled in a sandbox without any function's source, of packages that the machine's Go has, and builds see it read-only: of a build comes
// nothing but which packages. There is one directory for each Go and its settings.
type standard struct {
	turn chan struct{} // who holds it compiles, or looks at have

	have map[string]map[string]bool // by directory: what was compiled since the start
}

func newStandard() standard {
	return standard{turn: make(chan struct{}, 1), have: map[string]map[string]bool{}}
}

// goTool is the machine's go, as builds find it.
type goTool struct {
	root string // GOROOT
	name string // of the directory with what it has compiled
}

// goTool finds it. What it compiles differs by its settings; Go itself tells what another Go or other settings have compiled from its own, so that
// a name that stays though something changed costs time, and nothing else.
func (b *Builds) goTool() (*goTool, error) {
	at, err := filepath.EvalSymlinks(b.find("go"))
	if err != nil {
		return nil, fmt.Errorf("find go: %w", err)
	}
	info, err := os.Stat(at)
	if err != nil {
		return nil, fmt.Errorf("find go: %w", err)
	}
	root := filepath.Dir(filepath.Dir(at))
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("find the version of go: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d %q %q", at, info.Size(), info.ModTime().UnixNano(), version, standardCommand())
	for _, e := range slices.Sorted(slices.Values(overlay(goEnv(), b.env))) {
		if compiles(e) {
			fmt.Fprintf(h, " %q", e)
		}
	}
	return &goTool{root, "go-" + hex.EncodeToString(h.Sum(nil)[:16])}, nil
}

// compiles says whether a variable may change what Go compiles, and not only where it gets modules from.
func compiles(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch name {
	case "GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS":
		return false
	}
	return strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO")
}

func standardCommand() []string { return []string{"go", "build", "-v", "-trimpath", "-buildvcs=false"} }

// useStandard lets a job find Go's own packages compiled. When its scope has not been built with this Go before, those that it imports are compiled
// first, where they are not. What goes wrong with that does not stop the build: it compiles what it needs itself.
func (b *Builds) useStandard(ctx context.Context, j *job) error {
	err := b.linkStandard(ctx, j)
	if err == nil {
		return nil
	}
	if why := context.Cause(ctx); why != nil {
		return b.ended(j, why)
	}
	j.place.standard = ""
	j.log.say("Go's own packages are compiled for this build alone: %v", err)
	b.logger.Warn("go's own packages cannot be kept for all builds", "build", j.id, "err", err)
	return nil
}

func (b *Builds) linkStandard(ctx context.Context, j *job) error {
	tool, err := b.goTool()
	if err != nil {
		return err
	}
	dir, err := j.place.enter(tool.name)
	if err != nil {
		return err
	}
	known := "built-with-" + tool.name // only for its own scope to forge
	_, err = os.Lstat(filepath.Join(j.place.cache, known))
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		imports, err := b.imports(ctx, j)
		if err != nil {
			return err
		}
		if err := b.compileStandard(ctx, j, tool.own(imports), dir); err != nil {
			return err
		}
	}
	kept := filepath.Join(dir, filepath.Base(goCacheAt))
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return err
	}
	if err := linkCache(j.place.cache, kept); err != nil {
		return fmt.Errorf("link to what is compiled: %w", err)
	}
	j.place.standard = kept
	if !fresh {
		return nil
	}
	return leaveFile(j.place.cache, known, nil)
}

// leaveFile puts a file into a directory that builds write to, in the place of what they have there under its name: no link is followed.
func leaveFile(dir, name string, text []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		err = f.Chown(runner.MountOwner, runner.MountOwner)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	return errors.Join(err, f.Close())
}

// maxImports bounds the bytes of what a build says that it imports.
const maxImports = 64 << 10

// imports asks for the packages of Go itself that a job's program consists of. It is asked in the job's sandbox, and may be told anything. A source
// that Go cannot list has none: what is wrong with it the build says.
func (b *Builds) imports(ctx context.Context, j *job) ([]string, error) {
	j.log.say("looking for what it imports")
	list := *j
	list.plan = &plan{env: j.plan.env}
	s := b.spec(&list)
	s.Command = []string{"go", "list", "-deps", "-f", "{{if .Standard}}{{.ImportPath}}{{end}}", goTarget(j.Request)}
	var said bytes.Buffer
	s.Stdout = func(p []byte) { said.Write(p[:min(len(p), maxImports-said.Len())]) }
	s.Stderr = j.log.only(1, "go: downloading ")
	err := b.sandboxed(ctx, &list, s)
	if why := context.Cause(ctx); why != nil {
		return nil, why
	}
	if err != nil {
		return nil, nil
	}
	return strings.Fields(said.String()), nil
}

// importPath is one that a package of Go itself can have.
var importPath = regexp.MustCompile(`^[a-z0-9]+(/[a-z0-9_]+)*$`)

// own are those of some import paths that this Go has itself, and that can be asked for.
func (g *goTool) own(paths []string) []string {
	var own []string
	for _, p := range paths {
		if !importPath.MatchString(p) || p == "unsafe" || strings.HasPrefix(p, "vendor/") || strings.HasPrefix(p, "cmd/") || slices.Contains(strings.Split(p, "/"), "internal") {
			continue // the last ones come with those that import them
		}
		if info, err := os.Stat(filepath.Join(g.root, "src", p)); err == nil && info.IsDir() {
			own = append(own, p)
		}
	}
	return own
}

const (
	standardTime  = 15 * time.Minute // for the compilation of packages
	standardTells = 25               // so many are compiled from one line to the next
)

// compileStandard compiles what is not there of some packages, for all builds.
func (b *Builds) compileStandard(ctx context.Context, j *job, packages []string, dir string) (err error) {
	select {
	case b.standard.turn <- struct{}{}:
	default:
		j.log.say("waiting for Go's own packages, which another build compiles just now")
		select {
		case b.standard.turn <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer func() { <-b.standard.turn }()
	kept := filepath.Join(dir, filepath.Base(goCacheAt))
	have := b.standard.have[dir]
	if _, err := os.Lstat(filepath.Join(kept, trimmed)); err != nil {
		have = nil // Tidy has removed it: what makes the directory anew leaves this file in it
	}
	if have == nil {
		if err := dropDamaged(kept); err != nil {
			return fmt.Errorf("check what is compiled: %w", err)
		}
		have = map[string]bool{}
		b.standard.have[dir] = have
	}
	packages = slices.DeleteFunc(packages, func(p string) bool { return have[p] })
	if len(packages) == 0 {
		return nil
	}
	j.log.say("compiling what it imports of Go itself, for all functions of this node")
	w, err := b.emptyWorkspace(j.id + "-go")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	if err := os.Mkdir(w.src(), 0o755); err != nil {
		return err
	}
	w.cache = dir
	if err := keepUntrimmed(kept, b.now()); err != nil {
		return err
	}
	if err := own(w.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, standardTime, fault.New(fault.Timeout, "Go's own packages are not compiled within %s", function.Duration(standardTime)))
	defer cancel()
	compile := &job{Request: &Request{Build: function.Build{Type: function.BuildGo, Network: function.NetworkNone}}, plan: &plan{name: "go", env: goEnv()}, id: j.id + "-go", log: j.log, place: w}
	s := b.spec(compile)
	s.Command = append(standardCommand(), packages...)
	s.Stdout, s.Stderr = nil, j.log.counts(standardTells, "%d packages of Go itself are compiled")
	if err := b.sandboxed(ctx, compile, s); err != nil {
		return err
	}
	for _, p := range packages {
		have[p] = true
	}
	return nil
}
