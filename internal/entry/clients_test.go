package entry

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
)

// lambdaRows are what is asked of every client.
func lambdaRows() []matrixRow {
	return slices.Concat([]matrixRow{successRow(), utf8Row()}, []matrixRow{
		{"thrown error", func(s *subject) string {
			c := s.open()
			r := s.ask(c, `{"do":"fail"}`)
			wantOutcome(s.t, r, function.Failed)
			if !strings.Contains(r.Failure.Message, "no such card") {
				s.t.Errorf("failure = %+v, want the thrown words", r.Failure)
			}
			wantOutcome(s.t, s.ask(c, `{"do":"echo","text":""}`), function.Succeeded) // it lives on
			return typeOf(r)
		}},
		{"init error", func(s *subject) string {
			c, err := s.try(s.version(func(spec *function.Spec) { spec.Env["FAIL_INIT"] = "1" }))
			var init *InitError
			if !errors.As(err, &init) {
				if c != nil {
					// The client starts without the function, and tells at the first invocation.
					s.t.Cleanup(func() { c.Stop(0) })
					r := s.ask(c, `{"do":"echo","text":""}`)
					if r.Outcome == function.Succeeded || !strings.Contains(r.Failure.Message, "no module for cards") {
						s.t.Fatalf("result = %s %+v, want the words of the failed start", r.Outcome, r.Failure)
					}
					return typeOf(r) + ", at the first invocation"
				}
				s.t.Fatalf("start = %v, want an InitError", err)
			}
			// Java's client names the class that it could not load, and prints the reason.
			if words := init.Failure.Message; !strings.Contains(words, "no module for cards") && words != "Error loading class Function" {
				s.t.Errorf("failure = %+v, want the thrown words", init.Failure)
			}
			return "`" + init.Failure.Type + "`"
		}},
	}, boundRows("event"), []matrixRow{
		{"context", func(s *subject) string {
			var got struct {
				ID, Trace, ARN string
				LeftMs         int64
			}
			inv := s.context(&got)
			if got.ID != inv.ID || got.LeftMs < 5_000 || got.LeftMs > 20_000 || got.ARN != "arn:aws:lambda:us-east-1:000000000000:function:shop:3" ||
				got.Trace != "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1" {
				s.t.Errorf("context = %+v, of invocation %s", got, inv.ID)
			}
			return "request, deadline, trace, ARN"
		}},
		{"streamed answer", lambdaStreamRow},
	})
}

// lambdaStreamRow asks for an answer in two parts, and for one that breaks off in the middle.
func lambdaStreamRow(s *subject) string {
	change := map[string]func(*function.Spec){
		"go":   func(spec *function.Spec) { spec.Env["STREAM"] = "1" },
		"rust": func(spec *function.Spec) { spec.Env["STREAM"] = "1" },
		"node": func(spec *function.Spec) {
			spec.Entry.Command = append(slices.Clone(spec.Entry.Command[:2]), "function.stream")
		},
	}[s.name]
	if change == nil {
		return "the client has none"
	}
	k, r := s.stream("/", change)
	if wantOutcome(s.t, r, function.Succeeded); k.body.String() != "first second" || k.writes < 2 {
		s.t.Errorf("answer = %q in %d parts, want two", k.body.String(), k.writes)
	}
	k, r = s.stream("/fail", change)
	if s.name == "rust" { // it writes what it announces as trailers into the body
		if wantOutcome(s.t, r, function.Succeeded); !strings.HasPrefix(k.body.String(), "first Lambda-Runtime-Function-Error-Type: Runtime.StreamError") {
			s.t.Errorf("answer with the error = %q", k.body.String())
		}
		return "yes; an error in the middle goes into the body"
	}
	if wantOutcome(s.t, r, function.Failed); k.body.String() != "first " {
		s.t.Errorf("answer before the error = %q", k.body.String())
	}
	return "yes; in the middle `" + r.Failure.Type + "`"
}

// goClient is the one that is built here: it is a dependency of these tests.
func goClient() client.Client {
	return client.Client{Name: "go", Language: "Go", Package: "`aws-lambda-go` 1.55.1", Command: []string{"./bootstrap"}}
}

// TestRuntimeClients runs AWS's own runtime clients, unmodified, and checks that the table in docs/runtimes.md says what they do.
func TestRuntimeClients(t *testing.T) {
	var all []language
	for _, c := range append([]client.Client{goClient()}, client.All()...) {
		all = append(all, language{c.Name, c.Language + ": " + c.Package, "lambda", c.Command, func(t *testing.T) string {
			if c.Name == "go" {
				return clientOfGo(t)
			}
			return need.RuntimeClient(t, c)
		}})
	}
	askAll(t, "client", all, lambdaRows())
}

func clientOfGo(t *testing.T) string {
	t.Helper()
	dir := codeDir(t)
	build := exec.Command(need.Program(t, "go"), "build", "-o", filepath.Join(dir, "bootstrap"), "./testdata/client")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}
