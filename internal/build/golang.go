package build

import (
	"path"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// goPlan makes a static program for each function. The same source and the same Go make the same bytes, wherever and whenever: no path, no
// commit and no id of the build is in them, and no C compiler has a part in it.
func goPlan(r *Request) (*plan, error) {
	if len(r.Programs) == 0 {
		return nil, fault.New(fault.Invalid, "function %q: build: {type: go} makes a program, and entry.command names none of the code", r.Function).
			WithHint("the first word of entry.command is what the program is called: [./%s]", r.Function)
	}
	p := &plan{name: "go", needs: []string{"go"}, steps: [][]string{{"go", "version"}}, versioned: true, standard: true, output: outAt}
	for _, program := range r.Programs {
		p.steps = append(p.steps, []string{"go", "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", path.Join(outAt, program), goTarget(r)})
	}
	p.env = goEnv()
	return p, nil
}

// goTarget is the package that is built.
func goTarget(r *Request) string {
	switch target := r.Build.Target; {
	case target == "":
		return "."
	case strings.HasPrefix(target, "./"):
		return target
	default:
		return "./" + target
	}
}

// goCacheAt is where Go keeps what it has compiled.
const goCacheAt = cacheAt + "/go-build"

func goEnv() []string {
	return []string{
		"CGO_ENABLED=0", "GOENV=off", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GOWORK=off",
		"GOCACHE=" + goCacheAt, "GOMODCACHE=" + cacheAt + "/go-mod", "GOPATH=" + tmpAt + "/go", "GOTMPDIR=" + tmpAt,
	}
}
