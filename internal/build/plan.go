package build

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// Where a build sees what.
const (
	sourceAt = runner.MountRoot + "/src"   // a copy of the source; commands run here
	outAt    = runner.MountRoot + "/out"   // what a compiler makes
	tmpAt    = runner.MountRoot + "/tmp"   // for what nobody keeps
	cacheAt  = runner.MountRoot + "/cache" // for the next build of the scope
	toolsAt  = runner.MountRoot + "/tools" // with a number after it
)

// plan is how something is built.
type plan struct {
	name  string     // of the builder, for people
	needs []string   // programs that have to be there
	steps [][]string // commands that run one after the other, each when the one before has succeeded
	// versioned says that the first step prints what the tools call themselves.
	versioned bool
	standard  bool // it compiles Go's own packages, which one scope may have of the other
	env       []string
	output    string // the directory with the result: outAt, or one below sourceAt

	before, after string      // of the shell, around the steps; not shown
	image         *imageBuild // nil = the result is code
}

// plan decides how a request is built.
func (b *Builds) plan(r *Request) (*plan, error) {
	var p *plan
	var err error
	switch r.Build.Type {
	case function.BuildGo:
		p, err = goPlan(r)
	case function.BuildPython:
		p, err = pythonPlan(r)
	case function.BuildNode:
		p, err = nodePlan(r)
	case function.BuildRust:
		p, err = rustPlan(r)
	case function.BuildJava:
		p, err = javaPlan(r)
	case function.BuildDockerfile:
		p, err = b.dockerfilePlan(r)
	case function.BuildCommand:
		p = &plan{name: path.Base(r.Build.Command[0]), steps: [][]string{r.Build.Command}, output: path.Join(sourceAt, r.Build.Output)}
	default:
		err = fault.New(fault.Invalid, "a build of the type %s does nothing", r.Build.Type)
	}
	if err != nil {
		return nil, err
	}
	return p, b.check(p)
}

// check looks for what a plan needs.
func (b *Builds) check(p *plan) error {
	for _, name := range p.needs {
		if p.image != nil && !inUsr(name) {
			return noBuildah(name)
		}
		if b.find(name) == "" {
			return fault.New(fault.Unavailable, "this node has no %s, which building with %s takes", name, p.name).
				WithHint("install it below /usr, or name the directory that has bin/%s with the setting build.tools; or build it before, and say build: {type: none}", name)
		}
	}
	return nil
}

// has says whether the source has a file at its top.
func (r *Request) has(name string) bool {
	info, err := os.Lstat(filepath.Join(r.Dir, name))
	return err == nil && info.Mode().IsRegular()
}

// usualPlaces are where a build looks for programs, of those that a sandbox sees of the host.
func usualPlaces() []string {
	return []string{"/usr/local/go/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

// inUsr says whether a program is where every sandbox sees it.
func inUsr(name string) bool {
	_, err := os.Stat("/usr/bin/" + name)
	return err == nil
}

// find is where on the host a program is that builds can start; "" = nowhere.
func (b *Builds) find(name string) string {
	var dirs []string
	for _, dir := range b.tools {
		dirs = append(dirs, filepath.Join(dir, "bin"))
	}
	for _, dir := range append(dirs, usualPlaces()...) {
		at := filepath.Join(dir, name)
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return at
		}
	}
	return ""
}

// script is a plan as a shell has it. The shell is the sandbox's, and what it is given is quoted word by word.
func (p *plan) script() string {
	var s strings.Builder
	s.WriteString("set -e\n" + p.before)
	for _, step := range p.steps {
		var words []string
		for _, w := range step {
			words = append(words, quote(w))
		}
		line := strings.Join(words, " ")
		s.WriteString("printf '%s\\n' " + quote(prompt+shown(step)) + "\n" + line + "\n")
	}
	s.WriteString(p.after)
	return s.String()
}

// prompt begins a line that says what is done next.
const prompt = "$ "

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// maxShown bounds the bytes of a word that is shown: a script may be one.
const maxShown = 200

// shown is a command as a person could type it, on one line.
func shown(step []string) string {
	var words []string
	for _, w := range step {
		if len(w) > maxShown {
			w = strings.ToValidUTF8(w[:maxShown], "") + "…"
		}
		if !plainWord.MatchString(w) {
			w = quote(strings.ReplaceAll(w, "\n", " "))
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
