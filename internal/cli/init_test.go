package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/starter"
)

// TestEveryStarterDeploysAsItIs does what init tells its user to do: the function's own test, the build, the deploy; and calls it.
func TestEveryStarterDeploysAsItIs(t *testing.T) {
	tools := map[string][]string{
		"go": {"go", "make"}, "python": {"python3"}, "node": {"node"}, "rust": {"cargo", "make"}, "java": {"java", "mvn"}, "shell": {"sed"},
	}
	fetching := map[string][]string{ // those that use libraries
		"go lambda":  {"go", "mod", "download"},
		"rust stdio": {"cargo", "fetch"},
		"java stdio": {"mvn", "-q", "-B", "test"},
	}
	// Where each tool keeps what it has fetched and made, and which settings it has: the user's own.
	home := os.Getenv("HOME")
	for _, s := range starter.All() {
		t.Run(s.Language+" "+string(s.Entry), func(t *testing.T) {
			t.Parallel()
			for _, tool := range tools[s.Language] {
				need.Program(t, tool)
			}
			if fetch := fetching[s.Language+" "+string(s.Entry)]; fetch != nil {
				files, err := s.Files("hello")
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				if _, err := starter.Write(dir, files); err != nil {
					t.Fatal(err)
				}
				need.Fetched(t, dir, fetch...)
			}
			file := filepath.Join(t.TempDir(), s.Language+".txtar")
			if err := os.WriteFile(file, []byte(starterScript(s)), 0o600); err != nil {
				t.Fatal(err)
			}
			p := params()
			p.Files = []string{file}
			p.Setup = func(e *testscript.Env) error {
				err := setup(e)
				e.Setenv("HOME", home)
				return err
			}
			testscript.Run(t, p)
		})
	}
}

func starterScript(s starter.Starter) string {
	var b strings.Builder
	fmt.Fprintf(&b, `dalamb up --runner process --gateway 127.0.0.1:0 --control 127.0.0.1:0 &node&
ready
dalamb init functions/hello --lang %s --entry %s
stdout '^wrote hello into functions/hello: .*README.md, '
stdout '^  dalamb deploy \.$'
cd functions/hello
`, s.Language, s.Entry)
	for _, command := range []string{s.Test, s.Build} {
		if command != "" {
			fmt.Fprintf(&b, "exec %s\n", command)
		}
	}
	b.WriteString("dalamb deploy .\nstdout '^hello +version 1 '\n")
	if s.Entry == function.EntryHTTP {
		b.WriteString("http GET $GATEWAY/hello?name=Ann\nstdout '^200'\nstdout '\"greeting\": ?\"Hello, Ann!\"'\n")
		b.WriteString(`dalamb invoke hello --data '{"name": "Ann"}'` + "\n")
	} else {
		b.WriteString(`dalamb invoke hello --data '{"data": {"name": "Ann"}}'` + "\n")
	}
	b.WriteString("stdout '\"greeting\": ?\"Hello, Ann!\"'\n")
	if s.Entry != function.EntryHTTP {
		b.WriteString(`dalamb emit --type visitor.came --data '{"name": "Ben"}'
until visitor.greeted dalamb events
until 'greeting Ben' dalamb logs hello
! exec dalamb invoke hello --data '{"data": {}}'
`)
	}
	return b.String()
}
