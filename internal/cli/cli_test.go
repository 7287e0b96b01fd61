package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/cli"
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
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":    ready,
			"until":    until,
			"capture":  capture,
			"fill":     fill,
			"exitcode": exitCode,
			"expand":   expand,
			"busy":     busy,
			"stream":   stream,
			"layout":   makeLayout,
		},
		Condition: condition,
	})
}
