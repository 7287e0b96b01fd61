package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/starter"
)

// TestEveryStarterDeploysAsItIs does what init tells its user to do: the function's own test, and the deploy, which builds what has to be built; and calls
// it. Then a file is saved under deploy --watch.
func TestEveryStarterDeploysAsItIs(t *testing.T) {
	tools := map[string][]string{
		"go": {"go"}, "python": {"python3"}, "node": {"node"}, "rust": {"cargo", "cc"}, "java": {"java", "mvn"}, "shell": {"sed"},
	}
	fetching := map[string][]string{ // those that use libraries
		"go lambda":  {"go", "mod", "download"},
		"rust stdio": {"cargo", "fetch"},
		"java stdio": {"mvn", "-q", "-B", "test"},
	}
	// Where each tool keeps what it has fetched and made, and which settings it has: the user's own.
	home := os.Getenv("HOME")
	for _, language := range starter.Languages() {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			for _, tool := range tools[language] {
				need.Program(t, tool)
			}
			script := builder(t, language)
			for _, s := range starter.All() {
				if s.Language != language {
					continue
				}
				if fetch := fetching[language+" "+string(s.Entry)]; fetch != nil {
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
				script = starterScript(s) + script
			}
			file := filepath.Join(t.TempDir(), language+".txtar")
			if err := os.WriteFile(file, []byte("dalamb up --config node.yaml &node&\nready\n"+script), 0o600); err != nil {
				t.Fatal(err)
			}
			p := params()
			p.Files = []string{file}
			p.Setup = func(e *testscript.Env) error {
				err := setup(e)
				e.Setenv("HOME", home)
				e.Setenv("PATIENCE", "5m")
				return err
			}
			testscript.Run(t, p)
		})
	}
}

// saved is the file that is saved while a starter is watched.
func saved(s starter.Starter) string {
	switch s.Language {
	case "node":
		return map[function.EntryType]string{function.EntryStdio: "handle.js", function.EntryHTTP: "server.js"}[s.Entry]
	case "rust":
		return "src/main.rs"
	case "java":
		return "src/main/java/Main.java"
	}
	return map[string]string{"go": "main.go", "python": "main.py", "shell": "main.sh"}[s.Language]
}

// builder is the configuration of a node that builds functions of a language: with the machine's tools, and the way to where they get libraries from.
func builder(t *testing.T, language string) string {
	t.Helper()
	hosts := map[string][]string{"go": {"proxy.golang.org"}, "rust": {"index.crates.io", "static.crates.io"}, "java": {"repo.maven.apache.org"}}[language]
	if hosts != nil {
		need.Root(t) // or what the sandboxes of an ordinary user take
	}
	var allow, tools []string
	for _, ip := range need.Hosts(t, hosts...) {
		allow = append(allow, ip.String())
	}
	if language == "rust" {
		sysroot, err := exec.Command("rustc", "--print", "sysroot").Output()
		need.That(t, err == nil, "rustc")
		tools = append(tools, strings.TrimSpace(string(sysroot)))
	}
	return fmt.Sprintf(`
-- node.yaml --
gateway: 127.0.0.1:0
control: 127.0.0.1:0
runner: process
build: {allow: [%s], tools: [%s]}
`, strings.Join(allow, ", "), strings.Join(tools, ", "))
}

// starterScript is what a user does with one, on a node that runs.
func starterScript(s starter.Starter) string {
	name := "hello-" + string(s.Entry)
	says := func(greeting string) string {
		said := fmt.Sprintf("stdout '\"greeting\": ?\"%s, Ann!\"'", greeting)
		if s.Entry == function.EntryHTTP {
			return fmt.Sprintf("http GET $GATEWAY/%[1]s?name=Ann\nstdout '^200'\n%[2]s\ndalamb invoke %[1]s --data '{\"name\": \"Ann\"}'\n%[2]s", name, said)
		}
		return fmt.Sprintf("dalamb invoke %s --data '{\"data\": {\"name\": \"Ann\"}}'\n%s", name, said)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `cd $WORK
dalamb init functions/%[1]s --lang %[2]s --entry %[3]s
stdout '^wrote %[1]s into functions/%[1]s: .*README.md, '
stdout '^  dalamb deploy \.$'
cd functions/%[1]s
exec %[4]s
dalamb deploy .
stdout '^%[1]s +version 1 '
%[5]s
`, name, s.Language, s.Entry, s.Test, says("Hello"))
	if s.Entry != function.EntryHTTP {
		fmt.Fprintf(&b, `dalamb emit --type visitor.came --data '{"name": "Ben"}'
until visitor.greeted dalamb events
until 'greeting Ben' dalamb logs %[1]s
! exec dalamb invoke %[1]s --data '{"data": {}}'
`, name)
	}
	fmt.Fprintf(&b, `exec sh -c 'exec dalamb deploy . --watch >../%[1]s.out 2>&1' &%[3]s&
until '^watching ' cat ../%[1]s.out
exec sed -i s/Hello/Goodbye/ %[2]s
until '^%[1]s +version 2 ' cat ../%[1]s.out
%[4]s
kill -INT %[3]s
wait %[3]s
`, name, saved(s), s.Entry, says("Goodbye"))
	return b.String()
}
