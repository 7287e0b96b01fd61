package entry

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/native"
)

// update writes the tables of docs/runtimes.md anew: go test ./internal/entry -run 'TestRuntimeClients|WithoutALibrary' -update
var update = flag.Bool("update", false, "write docs/runtimes.md as functions behave now")

const matrixPage = "../../docs/runtimes.md"

// language is one way to write a function: it does what it is asked for, {"do": ...}.
type language struct {
	name    string
	label   string // in the table
	entry   function.EntryType
	command []string
	install func(t *testing.T) (code string) // skips where the machine lacks something
}

// subject is the function of a language, while one thing is asked.
type subject struct {
	*stage
	language
	t *testing.T
}

// matrixRow is a thing that is asked of every language. It returns what the table shall say of it.
type matrixRow struct {
	name string
	ask  func(*subject) string
}

func (s *subject) version(change ...func(*function.Spec)) *function.Version {
	return version(string(s.entry)+":"+s.name, append([]func(*function.Spec){func(spec *function.Spec) {
		spec.Entry.Command = s.command
		spec.Resources.CPU = 2
	}}, change...)...)
}

// open starts an instance.
func (s *subject) open(change ...func(*function.Spec)) Conn {
	s.t.Helper()
	v := s.version(change...)
	c, err := s.try(v)
	if err != nil {
		s.t.Fatalf("start: %v", err)
	}
	s.t.Cleanup(func() { c.Stop(0) })
	return c
}

func (s *subject) ask(c Conn, payload_ string) *function.Result {
	s.t.Helper()
	if one, ok := c.(*stdioConn); ok && one.used { // it takes one invocation
		v := *one.start.Version
		c = s.open(func(spec *function.Spec) { *spec = v.Spec })
	}
	r, err := c.Invoke(s.t.Context(), payload(payload_))
	if err != nil {
		s.t.Fatalf("Invoke: %v", err)
	}
	return r
}

// answers wants a success and decodes it.
func (s *subject) answers(r *function.Result, into any) {
	s.t.Helper()
	wantOutcome(s.t, r, function.Succeeded)
	if err := json.Unmarshal(r.Body, into); err != nil {
		s.t.Fatalf("answer of %d bytes: %v", len(r.Body), err)
	}
}

// context asks what the function is told of an invocation.
func (s *subject) context(into any) *function.Invocation {
	s.t.Helper()
	inv := payload(`{"do":"context"}`)
	inv.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r, err := s.open().Invoke(s.t.Context(), inv)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answers(r, into)
	return inv
}

// stream asks with a request for an answer in parts.
func (s *subject) stream(path string, change ...func(*function.Spec)) (*sink, *function.Result) {
	s.t.Helper()
	k := newSink()
	r, err := s.open(change...).Invoke(s.t.Context(), &function.Invocation{ID: event.NewID(), Request: httptest.NewRequest("GET", path, nil), Responder: k})
	if err != nil {
		s.t.Fatalf("Invoke: %v", err)
	}
	h := k.head.Header
	if k.head.Status != 207 || h.Get("X-Streamed") != "yes" || h.Get("Content-Type") != "text/plain" || h.Get("Set-Cookie") != "a=1" {
		s.t.Errorf("head = %+v, want that of the function", k.head)
	}
	return k, r
}

const (
	yes       = "yes"
	utf8Words = "żółć 猫 🚀 \u0000 \" \\"
)

func typeOf(r *function.Result) string { return "`" + r.Failure.Type + "`" }

func successRow() matrixRow {
	return matrixRow{"success", func(s *subject) string {
		c := s.open()
		for range 3 { // on one instance, where it takes several
			var got struct{ Text string }
			if s.answers(s.ask(c, `{"do":"echo","text":"hello"}`), &got); got.Text != "hello" {
				s.t.Errorf("text = %q, want hello", got.Text)
			}
		}
		return yes
	}}
}

func utf8Row() matrixRow {
	return matrixRow{"UTF-8", func(s *subject) string {
		text, err := json.Marshal(utf8Words)
		if err != nil {
			s.t.Fatal(err)
		}
		var got struct{ Text string }
		if s.answers(s.ask(s.open(), `{"do":"echo","text":`+string(text)+`}`), &got); got.Text != utf8Words {
			s.t.Errorf("text = %q, want %q", got.Text, utf8Words)
		}
		return yes
	}}
}

// boundRows are the limits of time, memory and size. what is what goes in.
func boundRows(what string) []matrixRow {
	return []matrixRow{
		{"time-out", func(s *subject) string {
			r := s.ask(s.open(within(500*time.Millisecond)), `{"do":"sleep"}`)
			wantFailure(s.t, r, function.TimedOut, "Sandbox.Timedout", "500ms")
			return typeOf(r)
		}},
		{"out of memory", func(s *subject) string {
			r := s.ask(s.open(func(spec *function.Spec) { spec.Resources.Memory = 192 << 20 }), `{"do":"eat"}`)
			// Who limits itself, as Java does, says so in its own words.
			if r.Outcome != function.OOM && (r.Outcome != function.Failed || !strings.Contains(r.Failure.Type, "OutOfMemory")) {
				s.t.Errorf("result = %s %+v, want one that says so", r.Outcome, r.Failure)
			}
			return typeOf(r)
		}},
		{what + " of 6 MiB", func(s *subject) string {
			const around = len(`{"do":"take","text":""}`)
			var got struct{ Size int }
			text := strings.Repeat("x", defaultAnswer-around)
			if s.answers(s.ask(s.open(), `{"do":"take","text":"`+text+`"}`), &got); got.Size != len(text) {
				s.t.Errorf("size = %d, want %d", got.Size, len(text))
			}
			return yes
		}},
		{"answer of 6 MiB", func(s *subject) string {
			r := s.ask(s.open(), fmt.Sprintf(`{"do":"give","size":%d}`, defaultAnswer))
			wantOutcome(s.t, r, function.Succeeded)
			if len(r.Body) != defaultAnswer {
				s.t.Errorf("answer of %d bytes, want %d", len(r.Body), defaultAnswer)
			}
			return yes
		}},
		{"one byte more", func(s *subject) string {
			r := s.ask(s.open(), fmt.Sprintf(`{"do":"give","size":%d}`, defaultAnswer+1))
			wantFailure(s.t, r, function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456")
			return typeOf(r)
		}},
	}
}

// askAll asks every language for all rows, in sandboxes that fence, and checks that the table of the page says what was seen.
func askAll(t *testing.T, column string, all []language, rows []matrixRow) {
	need.Linux(t)
	seen := make(map[string][]string)
	t.Run("of", func(t *testing.T) {
		for _, l := range all {
			cells := make([]string, len(rows))
			seen[l.label] = cells
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				s := newMatrixStage(t, l.install(t))
				for i, row := range rows {
					t.Run(row.name, func(t *testing.T) {
						cells[i] = row.ask(&subject{stage: s, language: l, t: t})
					})
				}
			})
		}
	})
	if !t.Failed() {
		checkTable(t, column, all, rows, seen)
	}
}

func newMatrixStage(t *testing.T, code string) *stage {
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

// checkTable compares what was seen with the table that the test has on the page, line by line: a language that is not here says nothing.
func checkTable(t *testing.T, column string, all []language, rows []matrixRow, seen map[string][]string) {
	text, err := os.ReadFile(matrixPage)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- written by: go test ./internal/entry -run "+t.Name()+" -update -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table between %q and %q", matrixPage, begin, end)
	}
	written := make(map[string]string)
	for line := range strings.Lines(table) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		written[name] = line
	}
	var b strings.Builder
	b.WriteString("| " + column + " |")
	for _, row := range rows {
		b.WriteString(" " + row.name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(rows)) + "\n")
	for _, l := range all {
		line := "| " + l.label + " | " + strings.Join(seen[l.label], " | ") + " |\n"
		if slices.Contains(seen[l.label], "") { // not here
			line = written[l.label]
		} else if written[l.label] != line && !*update {
			t.Errorf("%s says\n%swhat was seen is\n%s(-update writes it)", matrixPage, written[l.label], line)
		}
		b.WriteString(line)
	}
	if !*update {
		return
	}
	if err := os.WriteFile(matrixPage, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
