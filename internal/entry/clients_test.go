package entry

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// update writes the matrix of docs/runtimes.md anew: go test ./internal/entry -run TestRuntimeClients -update
var update = flag.Bool("update", false, "write docs/runtimes.md as the runtime clients behave now")

const matrixPage = "../../docs/runtimes.md"

// matrixRow is what is asked of every client. It returns what the table shall say of it.
type matrixRow struct {
	name string
	ask  func(*clientStage) string
}

// clientStage is one client's function.
type clientStage struct {
	*stage
	t      *testing.T // of the row
	client client.Client
}

func (s *clientStage) version(change ...func(*function.Spec)) *function.Version {
	return version("lambda:"+s.client.Name, append([]func(*function.Spec){func(spec *function.Spec) {
		spec.Entry.Command = s.client.Command
		spec.Resources.CPU = 2
	}}, change...)...)
}

// open starts an instance on the row's behalf.
func (s *clientStage) open(change ...func(*function.Spec)) Conn {
	s.t.Helper()
	c, err := s.try(s.version(change...))
	if err != nil {
		s.t.Fatalf("start: %v", err)
	}
	s.t.Cleanup(func() { c.Stop(0) })
	return c
}

func (s *clientStage) ask(c Conn, payload_ string) *function.Result {
	s.t.Helper()
	r, err := c.Invoke(s.t.Context(), payload(payload_))
	if err != nil {
		s.t.Fatalf("Invoke: %v", err)
	}
	return r
}

// answers wants a success and decodes it.
func (s *clientStage) answers(r *function.Result, into any) {
	s.t.Helper()
	wantOutcome(s.t, r, function.Succeeded)
	if err := json.Unmarshal(r.Body, into); err != nil {
		s.t.Fatalf("answer of %d bytes: %v", len(r.Body), err)
	}
}

const (
	yes       = "yes"
	utf8Words = "żółć 猫 🚀 \u0000 \" \\"
)

func matrix() []matrixRow {
	return []matrixRow{
		{"success", func(s *clientStage) string {
			c := s.open()
			for range 3 { // on one instance
				var got struct{ Text string }
				if s.answers(s.ask(c, `{"do":"echo","text":"hello"}`), &got); got.Text != "hello" {
					s.t.Errorf("text = %q, want hello", got.Text)
				}
			}
			return yes
		}},
		{"UTF-8", func(s *clientStage) string {
			text, err := json.Marshal(utf8Words)
			if err != nil {
				s.t.Fatal(err)
			}
			var got struct{ Text string }
			if s.answers(s.ask(s.open(), `{"do":"echo","text":`+string(text)+`}`), &got); got.Text != utf8Words {
				s.t.Errorf("text = %q, want %q", got.Text, utf8Words)
			}
			return yes
		}},
		{"thrown error", func(s *clientStage) string {
			c := s.open()
			r := s.ask(c, `{"do":"fail"}`)
			wantOutcome(s.t, r, function.Failed)
			if !strings.Contains(r.Failure.Message, "no such card") {
				s.t.Errorf("failure = %+v, want the thrown words", r.Failure)
			}
			wantOutcome(s.t, s.ask(c, `{"do":"echo","text":""}`), function.Succeeded) // it lives on
			return "`" + r.Failure.Type + "`"
		}},
		{"init error", func(s *clientStage) string {
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
					return "`" + r.Failure.Type + "`, at the first invocation"
				}
				s.t.Fatalf("start = %v, want an InitError", err)
			}
			// Java's client names the class that it could not load, and prints the reason.
			if words := init.Failure.Message; !strings.Contains(words, "no module for cards") && words != "Error loading class Function" {
				s.t.Errorf("failure = %+v, want the thrown words", init.Failure)
			}
			return "`" + init.Failure.Type + "`"
		}},
		{"time-out", func(s *clientStage) string {
			c := s.open(within(500 * time.Millisecond))
			r := s.ask(c, `{"do":"sleep"}`)
			wantFailure(s.t, r, function.TimedOut, "Sandbox.Timedout", "500ms")
			return "`" + r.Failure.Type + "`"
		}},
		{"out of memory", func(s *clientStage) string {
			c := s.open(func(spec *function.Spec) { spec.Resources.Memory = 192 << 20 })
			r := s.ask(c, `{"do":"eat"}`)
			// Who limits itself, as Java does, says so in its own words.
			if r.Outcome != function.OOM && (r.Outcome != function.Failed || !strings.Contains(r.Failure.Type, "OutOfMemory")) {
				s.t.Errorf("result = %s %+v, want one that says so", r.Outcome, r.Failure)
			}
			return "`" + r.Failure.Type + "`"
		}},
		{"event of 6 MiB", func(s *clientStage) string {
			const around = len(`{"do":"take","text":""}`)
			var got struct{ Size int }
			text := strings.Repeat("x", defaultAnswer-around)
			if s.answers(s.ask(s.open(), `{"do":"take","text":"`+text+`"}`), &got); got.Size != len(text) {
				s.t.Errorf("size = %d, want %d", got.Size, len(text))
			}
			return yes
		}},
		{"answer of 6 MiB", func(s *clientStage) string {
			r := s.ask(s.open(), fmt.Sprintf(`{"do":"give","size":%d}`, defaultAnswer))
			wantOutcome(s.t, r, function.Succeeded)
			if len(r.Body) != defaultAnswer {
				s.t.Errorf("answer of %d bytes, want %d", len(r.Body), defaultAnswer)
			}
			return yes
		}},
		{"one byte more", func(s *clientStage) string {
			r := s.ask(s.open(), fmt.Sprintf(`{"do":"give","size":%d}`, defaultAnswer+1))
			wantFailure(s.t, r, function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456")
			return "`" + r.Failure.Type + "`"
		}},
		{"context", func(s *clientStage) string {
			c := s.open()
			inv := payload(`{"do":"context"}`)
			inv.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			r, err := c.Invoke(s.t.Context(), inv)
			if err != nil {
				s.t.Fatal(err)
			}
			var got struct {
				ID, Trace, ARN string
				LeftMs         int64
			}
			s.answers(r, &got)
			if got.ID != inv.ID || got.LeftMs < 5_000 || got.LeftMs > 20_000 || got.ARN != "arn:aws:lambda:us-east-1:000000000000:function:shop:3" ||
				got.Trace != "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1" {
				s.t.Errorf("context = %+v, of invocation %s", got, inv.ID)
			}
			return "request, deadline, trace, ARN"
		}},
		{"streamed answer", streamedRow},
	}
}

// streamedRow asks for an answer in two parts, and for one that breaks off in the middle.
func streamedRow(s *clientStage) string {
	change := map[string]func(*function.Spec){
		"go":   func(spec *function.Spec) { spec.Env["STREAM"] = "1" },
		"rust": func(spec *function.Spec) { spec.Env["STREAM"] = "1" },
		"node": func(spec *function.Spec) {
			spec.Entry.Command = append(slices.Clone(spec.Entry.Command[:2]), "function.stream")
		},
	}[s.client.Name]
	if change == nil {
		return "the client has none"
	}
	stream := func(path string) (*sink, *function.Result) {
		c := s.open(change)
		k := newSink()
		r, err := c.Invoke(s.t.Context(), &function.Invocation{ID: event.NewID(), Request: httptest.NewRequest("GET", path, nil), Responder: k})
		if err != nil {
			s.t.Fatalf("Invoke: %v", err)
		}
		h := k.head.Header
		if k.head.Status != 207 || h.Get("X-Streamed") != "yes" || h.Get("Content-Type") != "text/plain" || h.Get("Set-Cookie") != "a=1" {
			s.t.Errorf("head = %+v, want that of the function", k.head)
		}
		return k, r
	}
	k, r := stream("/")
	if wantOutcome(s.t, r, function.Succeeded); k.body.String() != "first second" || k.writes < 2 {
		s.t.Errorf("answer = %q in %d parts, want two", k.body.String(), k.writes)
	}
	k, r = stream("/fail")
	if s.client.Name == "rust" { // it writes what it announces as trailers into the body
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
	need.Linux(t)
	clients := append([]client.Client{goClient()}, client.All()...)
	columns := make(map[string][]string)
	rows := matrix()
	t.Run("clients", func(t *testing.T) {
		for _, c := range clients {
			cells := make([]string, len(rows))
			columns[c.Name] = cells
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				code := ""
				if c.Name == "go" {
					code = clientOfGo(t)
				} else {
					code = need.RuntimeClient(t, c)
				}
				s := newClientStage(t, code)
				for i, row := range rows {
					t.Run(row.name, func(t *testing.T) {
						cells[i] = row.ask(&clientStage{stage: s, t: t, client: c})
					})
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	checkMatrix(t, clients, columns)
}

func newClientStage(t *testing.T, code string) *stage {
	r, err := native.New(native.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	ability, err := r.Check(t.Context())
	need.That(t, err == nil, "a machine that can fence")
	need.That(t, slices.Contains(ability.Limits, "memory"), "a memory cgroup")
	s := newStageWith(t, r, func(o *Options) { o.InitTimeout = 30 * time.Second })
	s.code = code
	return s
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

const (
	matrixBegin = "<!-- written by: go test ./internal/entry -run TestRuntimeClients -update -->\n"
	matrixEnd   = "<!-- end -->\n"
)

// checkMatrix compares what was seen with the page, column by column: a client that is not here says nothing.
func checkMatrix(t *testing.T, clients []client.Client, columns map[string][]string) {
	text, err := os.ReadFile(matrixPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), matrixBegin)
	table, after, closed := strings.Cut(rest, matrixEnd)
	if !ok || !closed {
		t.Fatalf("%s has no table between %q and %q", matrixPage, matrixBegin, matrixEnd)
	}
	written := make(map[string]string)
	for line := range strings.Lines(table) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		written[name] = line
	}
	var b strings.Builder
	b.WriteString("| client |")
	for _, row := range matrix() {
		b.WriteString(" " + row.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(matrix())) + "\n")
	for _, c := range clients {
		name := c.Language + ": " + c.Package
		line := "| " + name
		for _, cell := range columns[c.Name] {
			line += " | " + cell
		}
		line += " |\n"
		if slices.Contains(columns[c.Name], "") { // not here
			line = written[name]
		} else if written[name] != line && !*update {
			t.Errorf("%s says\n%swhat was seen is\n%s(-update writes it)", matrixPage, written[name], line)
		}
		b.WriteString(line)
	}
	if !*update {
		return
	}
	if err := os.WriteFile(matrixPage, []byte(before+matrixBegin+b.String()+matrixEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
