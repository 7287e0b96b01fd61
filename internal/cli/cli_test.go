package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/cli"
	"github.com/dalamb/dalamb/internal/need"
)

// TestMain lets this binary be, in scripts, the real command line, a client that speaks plain HTTP, and a function in Go.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"dalamb": func() { os.Exit(cli.Process()) },
		"http":   func() { os.Exit(httpCommand(os.Args[1:])) },
		"fn":     func() { os.Exit(functionCommand(os.Args[1:])) },
	})
}

// TestScripts runs testdata/*.txtar against the real main. A script starts the node that it needs.
func TestScripts(t *testing.T) { scripts(t, "testdata") }

// TestNativeScripts runs those that take a machine which can fence, and programs to put into images and to push these with.
func TestNativeScripts(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	need.Program(t, "busybox")
	need.Program(t, "skopeo")
	need.Program(t, "python3")
	scripts(t, "testdata/native")
}

// TestGitScripts runs those that take the git of whoever pushes.
func TestGitScripts(t *testing.T) {
	need.Program(t, "git")
	scripts(t, "testdata/git")
}

// TestTLSScripts runs those in which clients of others' making believe a node by its certificate.
func TestTLSScripts(t *testing.T) {
	need.Program(t, "git")
	need.Program(t, "skopeo")
	scripts(t, "testdata/tls")
}

// TestBuildScripts runs those that take a machine which can fence, and git.
func TestBuildScripts(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	need.Program(t, "git")
	scripts(t, "testdata/build")
}

// TestDockerfileScripts runs those that build images, too.
func TestDockerfileScripts(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	need.Program(t, "git")
	need.Program(t, "busybox")
	need.Buildah(t)
	scripts(t, "testdata/dockerfile")
}

func scripts(t *testing.T, dir string) {
	p := params()
	p.Dir = dir
	testscript.Run(t, p)
}

// params are what scripts have beside testscript's own.
func params() testscript.Params {
	return testscript.Params{
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":     ready,
			"until":     until,
			"capture":   capture,
			"fill":      fill,
			"exitcode":  exitCode,
			"expand":    expand,
			"busy":      busy,
			"stream":    stream,
			"layout":    makeLayout,
			"zip":       makeZip,
			"halting":   serveHalting,
			"supervise": supervise,
			"answering": new(servers).answering,
			"appears":   appears,
			"spoil":     spoil,
		},
		Condition: condition,
	}
}
