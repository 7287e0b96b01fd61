package entry

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// plain is a function of testdata/languages, which takes nothing but what its language brings along.
func plain(entry function.EntryType, label, program, file string) language {
	return language{filepath.Ext(file)[1:], label, entry, []string{program, file}, func(t *testing.T) string {
		need.Program(t, program)
		dir := codeDir(t)
		text, err := os.ReadFile(filepath.Join("testdata/languages", string(entry), file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}}
}

// contextRow is what functions without a client are told of an invocation.
func contextRow() matrixRow {
	return matrixRow{"context", func(s *subject) string {
		var got struct {
			ID, Trace string
			LeftMs    int64
		}
		inv := s.context(&got)
		if got.ID != inv.ID || got.LeftMs < 5_000 || got.LeftMs > 20_000 || got.Trace != inv.TraceParent {
			s.t.Errorf("context = %+v, of invocation %s", got, inv.ID)
		}
		return "request, deadline, trace"
	}}
}

// saidRow is an error that the function answers with.
func saidRow(change ...func(*function.Spec)) matrixRow {
	return matrixRow{"answered error", func(s *subject) string {
		c := s.open(change...)
		r := s.ask(c, `{"do":"fail"}`)
		wantFailure(s.t, r, function.Failed, "CardError", "no such card")
		wantOutcome(s.t, s.ask(c, `{"do":"echo","text":""}`), function.Succeeded) // it lives on
		return typeOf(r)
	}}
}

// TestHTTPWithoutALibrary: a server that comes with the language is a function.
func TestHTTPWithoutALibrary(t *testing.T) {
	all := []language{
		plain(function.EntryHTTP, "Python: `http.server`", "/usr/bin/python3", "function.py"),
		plain(function.EntryHTTP, "Node.js: `node:http`", "node", "function.mjs"),
	}
	askAll(t, "server", all, slices.Concat([]matrixRow{successRow(), utf8Row(), saidRow()}, []matrixRow{
		{"thrown error", func(s *subject) string {
			r := s.ask(s.open(), `{"do":"throw"}`) // and nobody catches it
			wantOutcome(s.t, r, function.Crashed)
			s.line("no such card")
			return typeOf(r)
		}},
		{"init error", func(s *subject) string {
			v := s.version(func(spec *function.Spec) { spec.Env["FAIL_INIT"] = "1" })
			r := s.startError(v).Result()
			wantFailure(s.t, r, function.InitError, "Runtime.ExitError", "no module for cards")
			return typeOf(r)
		}},
	}, boundRows("request"), []matrixRow{
		contextRow(),
		{"streamed answer", func(s *subject) string {
			k, r := s.stream("/")
			if wantOutcome(s.t, r, function.Succeeded); k.body.String() != "first second" || k.writes < 2 {
				s.t.Errorf("answer = %q in %d parts, want two", k.body.String(), k.writes)
			}
			k, r = s.stream("/fail")
			if wantOutcome(s.t, r, function.Crashed); k.body.String() != "first " {
				s.t.Errorf("answer before the error = %q", k.body.String())
			}
			return "yes; in the middle " + typeOf(r)
		}},
	}))
}

// TestStdioWithoutALibrary: a program that reads its input and writes its output is a function, one that does so line by line is, too.
func TestStdioWithoutALibrary(t *testing.T) {
	all := []language{
		plain(function.EntryStdio, "Python", "/usr/bin/python3", "function.py"),
		plain(function.EntryStdio, "Node.js", "node", "function.mjs"),
		plain(function.EntryStdio, "shell", "sh", "function.sh"),
	}
	exits := func(do string, code int) func(s *subject) string {
		return func(s *subject) string {
			r := s.ask(s.open(), `{"do":"`+do+`"}`)
			wantFailure(s.t, r, function.Failed, fmt.Sprint("Exit.", code), "no such card")
			if final := code == exitNoRetry; r.NoRetry != final {
				s.t.Errorf("NoRetry = %v, want %v", r.NoRetry, final)
			}
			return typeOf(r)
		}
	}
	askAll(t, "language", all, slices.Concat([]matrixRow{
		successRow(), utf8Row(),
		{"thrown error", exits("throw", 1)},
		{"error for good", exits("final", exitNoRetry)},
		{"init error", func(s *subject) string {
			r := s.ask(s.open(func(spec *function.Spec) { spec.Env["FAIL_INIT"] = "1" }), `{"do":"echo","text":""}`)
			wantFailure(s.t, r, function.Failed, "Exit.1", "no module for cards")
			return typeOf(r)
		}},
	}, boundRows("event"), []matrixRow{contextRow(), {"by lines", linesRow}, {"streamed answer", wholeRow}}))
}

// linesRow asks a process that stays.
func linesRow(s *subject) string {
	stays := func(spec *function.Spec) {
		byLines(spec)
		spec.Entry.Command = append(slices.Clone(spec.Entry.Command), "lines")
	}
	c := s.open(stays)
	for range 3 {
		text, err := json.Marshal(utf8Words)
		if err != nil {
			s.t.Fatal(err)
		}
		var got struct{ Text string }
		if s.answers(s.ask(c, `{"do":"echo","text":`+string(text)+`}`), &got); got.Text != utf8Words {
			s.t.Errorf("text = %q, want %q", got.Text, utf8Words)
		}
	}
	told := saidRow(stays).ask(s)
	var got struct{ Size int }
	const long = 1 << 20 // a shell reads it byte by byte
	if s.answers(s.ask(c, `{"do":"take","text":"`+strings.Repeat("x", long)+`"}`), &got); got.Size != long {
		s.t.Errorf("size of a long line = %d, want %d", got.Size, long)
	}
	r := s.ask(c, `{"do":"throw"}`)
	wantFailure(s.t, r, function.Crashed, "Runtime.ExitError", "no such card")
	return "yes; error " + told + ", thrown " + typeOf(r)
}

// wholeRow: an answer goes out when the process has ended, and its exit has said whether it is one.
func wholeRow(s *subject) string {
	k := newSink()
	r, err := s.open().Invoke(s.t.Context(), &function.Invocation{
		ID: event.NewID(), Request: httptest.NewRequest("POST", "/", strings.NewReader(`{"do":"echo","text":"hello"}`)), Responder: k,
	})
	if err != nil {
		s.t.Fatalf("Invoke: %v", err)
	}
	if wantOutcome(s.t, r, function.Succeeded); k.head.Status != 0 || !strings.Contains(string(r.Body), "hello") {
		s.t.Errorf("head, body = %+v, %q, want the body with the result alone", k.head, r.Body)
	}
	return "no: the exit says whether it is one"
}
