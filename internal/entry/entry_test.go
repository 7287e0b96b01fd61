package entry

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native"
	"github.com/dalamb/dalamb/internal/runner/process"
)

// stage starts functions of one runner and keeps what they print.
type stage struct {
	t       testing.TB
	entries *Entries
	code    string
	ids     atomic.Int64

	mu    sync.Mutex
	lines []function.LogLine
	grown chan struct{} // closed at the next line
}

func newStage(t testing.TB, change ...func(*Options)) *stage {
	t.Helper()
	r, err := process.New(process.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	return newStageWith(t, r, change...)
}

func newStageWith(t testing.TB, r runner.Runner, change ...func(*Options)) *stage {
	t.Helper()
	s := &stage{t: t, code: install(t), grown: make(chan struct{})}
	o := Options{Runner: r, Log: s.log}
	for _, f := range change {
		f(&o)
	}
	entries, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.entries = entries
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close runner: %v", err)
		}
	})
	return s
}

func (s *stage) log(l function.LogLine) {
	s.mu.Lock()
	s.lines = append(s.lines, l)
	close(s.grown)
	s.grown = make(chan struct{})
	s.mu.Unlock()
}

// line waits for a line that contains text.
func (s *stage) line(text string) function.LogLine {
	s.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		grown := s.grown
		for _, l := range s.lines {
			if strings.Contains(l.Text, text) {
				s.mu.Unlock()
				return l
			}
		}
		s.mu.Unlock()
		select {
		case <-grown:
		case <-limit:
			s.t.Fatalf("no log line with %q", text)
		}
	}
}

// forRunners runs a test on each kind of sandbox.
func forRunners(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Run("process", func(t *testing.T) { test(t, newStage(t)) })
	t.Run("native", func(t *testing.T) { test(t, newNativeStage(t)) })
}

// newNativeStage is one with sandboxes that fence.
func newNativeStage(t *testing.T, change ...func(*Options)) *stage {
	t.Helper()
	need.Linux(t)
	r, err := native.New(native.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(t.Context())
	need.That(t, err == nil, "a machine that can fence")
	return newStageWith(t, r, change...)
}

// version is a function that plays a behaviour.
func version(behaves string, change ...func(*function.Spec)) *function.Version {
	kind, _, _ := strings.Cut(behaves, ":")
	spec := function.Spec{
		Name: "shop", Base: "host", Network: "none",
		Entry:     function.Entry{Type: function.EntryType(kind), Command: []string{"./fn"}},
		Resources: function.Resources{Memory: 512 << 20, CPU: 1, PIDs: 64, Tmp: 16 << 20},
		Timeout:   function.Duration(20 * time.Second),
		Env:       map[string]string{behaviour: behaves},
	}
	if spec.Entry.Type == function.EntryHTTP {
		spec.Entry.Port, spec.Entry.Concurrency = 8080, 1
	}
	for _, f := range change {
		f(&spec)
	}
	return &function.Version{Number: 3, Code: "sha256:00", Digest: "sha256:01", Spec: spec}
}

func (s *stage) try(v *function.Version) (Conn, error) {
	return s.entries.Start(s.t.Context(), Start{ID: fmt.Sprintf("i-%d", s.ids.Add(1)), Version: v, CodeDir: s.code})
}

func (s *stage) start(v *function.Version) Conn {
	s.t.Helper()
	c, err := s.try(v)
	if err != nil {
		s.t.Fatalf("Start: %v", err)
	}
	s.t.Cleanup(func() { c.Stop(0) })
	return c
}

func (s *stage) startError(v *function.Version) *InitError {
	s.t.Helper()
	c, err := s.try(v)
	var init *InitError
	if !errors.As(err, &init) {
		if c != nil {
			c.Stop(0)
		}
		s.t.Fatalf("Start = %v, want an InitError", err)
	}
	return init
}

func (s *stage) invoke(c Conn, inv *function.Invocation) *function.Result {
	s.t.Helper()
	r, err := c.Invoke(s.t.Context(), inv)
	if err != nil {
		s.t.Fatalf("Invoke: %v", err)
	}
	return r
}

// once starts an instance of a behaviour for one invocation.
func (s *stage) once(behaves string, inv *function.Invocation, change ...func(*function.Spec)) *function.Result {
	s.t.Helper()
	return s.invoke(s.start(version(behaves, change...)), inv)
}

func payload(s string) *function.Invocation {
	return &function.Invocation{ID: event.NewID(), Run: "run-1", Attempt: 1, Payload: []byte(s)}
}

func within(d time.Duration) func(*function.Spec) {
	return func(s *function.Spec) { s.Timeout = function.Duration(d) }
}

func wantOutcome(t *testing.T, r *function.Result, want function.Outcome) {
	t.Helper()
	if r.Outcome != want {
		t.Fatalf("outcome = %s (%+v), want %s", r.Outcome, r.Failure, want)
	}
	if (r.Failure == nil) != (want == function.Succeeded) {
		t.Fatalf("failure of a %s result = %+v", want, r.Failure)
	}
}

func wantFailure(t *testing.T, r *function.Result, want function.Outcome, typ, message string) {
	t.Helper()
	wantOutcome(t, r, want)
	if r.Failure.Type != typ || !strings.Contains(r.Failure.Message, message) {
		t.Fatalf("failure = %+v, want type %s and %q in the message", r.Failure, typ, message)
	}
}

func TestHowAnInvocationEnds(t *testing.T) { forRunners(t, testHowAnInvocationEnds) }

func testHowAnInvocationEnds(t *testing.T, s *stage) {
	tests := []struct {
		behaves  string
		outcome  function.Outcome
		typ      string
		message  string
		noRetry  bool
		status   int
		timeout  time.Duration
		survives bool // the instance can go on
	}{
		{"lambda:echo", function.Succeeded, "", "", false, 200, 0, true},
		{"lambda:error={\"errorType\":\"E\",\"errorMessage\":\"no\"}", function.Failed, "E", "no", false, 502, 0, true},
		{"lambda:error={\"errorType\":\"E\",\"errorMessage\":\"no\",\"retry\":false}", function.Failed, "E", "no", true, 502, 0, true},
		{"lambda:error=just words", function.Failed, "From.Header", "just words", false, 502, 0, true},
		{"lambda:crash", function.Crashed, "Runtime.ExitError", "exit status 139 before it answered: segmentation fault, sort of", false, 502, 0, false},
		{"lambda:hang", function.TimedOut, "Sandbox.Timedout", "time-out of 300ms", false, 504, 300 * time.Millisecond, false},
		{"lambda:answer={\"specversion\":\"1.0\",\"type\":\"\"}", function.BadAnswer, "Function.InvalidEvent", "\"type\"", true, 502, 0, true},
		{"lambda:big=6291457", function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456", true, 502, 0, true},
		{"lambda:big=6291456", function.Succeeded, "", "", false, 200, 0, true},

		{"http:noop", function.Succeeded, "", "", false, 200, 0, true},
		{"http:status=204", function.Succeeded, "", "", false, 204, 0, true},
		{"http:status=400", function.Failed, "HTTP.400", "400 Bad Request: so it goes", true, 400, 0, true},
		{"http:status=302", function.Failed, "HTTP.302", "302", true, 302, 0, true},
		{"http:status=408", function.Failed, "HTTP.408", "so it goes", false, 408, 0, true},
		{"http:status=409", function.Failed, "HTTP.409", "so it goes", false, 409, 0, true},
		{"http:status=425", function.Failed, "HTTP.425", "so it goes", false, 425, 0, true},
		{"http:status=429", function.Failed, "HTTP.429", "so it goes", false, 429, 0, true},
		{"http:status=503", function.Failed, "HTTP.503", "so it goes", false, 503, 0, true},
		{"http:refuse=no money", function.Failed, "Refused", "no money", false, 503, 0, true},
		{"http:crash", function.Crashed, "Runtime.ExitError", "exit status 9 before it answered: out of luck", false, 502, 0, false},
		{"http:cut", function.Crashed, "Connection.Lost", "before it had answered", false, 502, 0, true},
		{"http:hang", function.TimedOut, "Sandbox.Timedout", "time-out of 300ms", false, 504, 300 * time.Millisecond, false},
		{"http:big=6291457", function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456", true, 502, 0, true},
		{"http:big=6291456", function.Succeeded, "", "", false, 200, 0, true},

		{"stdio:echo", function.Succeeded, "", "", false, 200, 0, false},
		{"stdio:exit=1", function.Failed, "Exit.1", "exit status 1: the reason is on stderr", false, 500, 0, false},
		{"stdio:exit=100", function.Failed, "Exit.100", "the reason is on stderr", true, 500, 0, false},
		{"stdio:kill", function.Crashed, "Runtime.ExitError", "SIGKILL", false, 502, 0, false},
		{"stdio:hang", function.TimedOut, "Sandbox.Timedout", "time-out of 300ms", false, 504, 300 * time.Millisecond, false},
	}
	for _, tt := range tests {
		t.Run(tt.behaves, func(t *testing.T) {
			t.Parallel()
			change := func(spec *function.Spec) {
				if tt.timeout != 0 {
					spec.Timeout = function.Duration(tt.timeout)
				}
			}
			c := s.start(version(tt.behaves, change))
			defer c.Stop(0)
			r := s.invoke(c, payload(`{}`))
			if tt.outcome == function.Succeeded {
				wantOutcome(t, r, tt.outcome)
			} else {
				wantFailure(t, r, tt.outcome, tt.typ, tt.message)
			}
			if r.NoRetry != tt.noRetry || r.Status != tt.status {
				t.Errorf("noRetry, status = %v, %d, want %v, %d", r.NoRetry, r.Status, tt.noRetry, tt.status)
			}
			if r.Start.IsZero() || r.Duration <= 0 {
				t.Errorf("start, duration = %v, %v, want both", r.Start, r.Duration)
			}
			if tt.survives {
				if again := s.invoke(c, payload(`{}`)); again.Outcome != tt.outcome {
					t.Errorf("the second invocation = %s (%+v), want %s again", again.Outcome, again.Failure, tt.outcome)
				}
			}
		})
	}
}

func TestAFunctionThatEatsMemoryEndsAsOOM(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		for _, behaves := range []string{"lambda:eat", "http:eat", "stdio:eat"} {
			r := s.once(behaves, payload("{}"), func(spec *function.Spec) { spec.Resources.Memory = 128 << 20 })
			wantFailure(t, r, function.OOM, "Runtime.OutOfMemory", "limit of 128Mi")
		}
	})
}

func TestAFunctionThatPrintsWithoutEndHarmsNothing(t *testing.T) {
	s := newStage(t)
	r := s.once("stdio:flood=256", payload("{}"), within(time.Minute))
	wantOutcome(t, r, function.Succeeded)
	if string(r.Body) != "done" {
		t.Errorf("answer = %q", r.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped, kept := 0, 0
	for _, l := range s.lines {
		dropped += l.Dropped
		if !strings.HasPrefix(l.Text, "[") {
			kept++
		}
	}
	if limit := linesPerSecond * (int(r.Duration.Seconds()) + 2); kept > limit || kept+dropped != 256<<20/64 {
		t.Errorf("%d lines kept and %d dropped in %v, want at most %d kept and %d in all", kept, dropped, r.Duration, limit, 256<<20/64)
	}
}

func TestHowAStartFails(t *testing.T) {
	s, hasty := newStage(t), newStage(t, func(o *Options) { o.InitTimeout = time.Second })
	missing := func(spec *function.Spec) { spec.Entry.Command = []string{"./nothing"} }
	tests := []struct {
		name, behaves string
		change        func(*function.Spec)
		typ, message  string
	}{
		{"no such command", "lambda:echo", missing, "Runtime.InvalidEntrypoint", "no such file"},
		{"no such command", "http:echo", missing, "Runtime.InvalidEntrypoint", "no such file"},
		{"early exit", "lambda:exit", nil, "Runtime.ExitError", "exit status 7 before it was ready: cannot read the configuration"},
		{"early exit", "http:exit", nil, "Runtime.ExitError", "exit status 7 before it was ready: cannot open the database"},
		{"init error", "lambda:initerror", nil, "Import.Error", "no module named shop"},
		{"leaves at once", "lambda:leave", nil, "Runtime.ExitError", "exit status 0 before it was ready; it has to go on running and take invocations"},
		{"never asks", "lambda:deaf", nil, "Sandbox.Timedout", "not ready within 1s: it did not ask the Runtime API"},
		{"never listens", "http:deaf", nil, "Sandbox.Timedout", "not ready within 1s: nothing accepted a connection on its port 8080"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.behaves, func(t *testing.T) {
			t.Parallel()
			v := version(tt.behaves)
			if tt.change != nil {
				tt.change(&v.Spec)
			}
			stage := s
			if tt.typ == "Sandbox.Timedout" {
				stage = hasty
			}
			err := stage.startError(v)
			wantFailure(t, err.Result(), function.InitError, tt.typ, tt.message)
		})
	}
	t.Run("stdio", func(t *testing.T) {
		r := s.once("stdio:echo", payload("{}"), missing)
		wantFailure(t, r, function.InitError, "Runtime.InvalidEntrypoint", "no such file")
	})
}

func TestStopEndsAnInvocationWithAnError(t *testing.T) {
	s := newStage(t)
	for _, behaves := range []string{"lambda:hang", "http:hang", "stdio:hang"} {
		t.Run(behaves, func(t *testing.T) {
			c := s.start(version(behaves, func(spec *function.Spec) { spec.Env["MARK"] = behaves }))
			failed := make(chan error, 1)
			go func() {
				_, err := c.Invoke(t.Context(), payload("{}"))
				failed <- err
			}()
			s.line("hanging")
			c.Stop(0)
			if err := <-failed; err == nil || !strings.Contains(err.Error(), "was stopped while the function ran") {
				t.Errorf("Invoke of a stopped instance = %v, want an error that says so", err)
			}
			s.mu.Lock()
			s.lines = nil
			s.mu.Unlock()
		})
	}
}

func TestAnInstanceThatEndedBetweenInvocationsTakesNone(t *testing.T) {
	s := newStage(t)
	c := s.start(version("lambda:once"))
	if r := s.invoke(c, payload("{}")); string(r.Body) != `"last words"` {
		t.Fatalf("answer = %s", r.Body)
	}
	if _, err := c.Invoke(t.Context(), payload("{}")); !errors.Is(err, ErrUndelivered) {
		t.Errorf("Invoke after the end = %v, want ErrUndelivered", err)
	}
	<-c.Done()
}

func TestTheDeadlineOfAnInvocationCounts(t *testing.T) {
	s := newStage(t)
	c := s.start(version("lambda:hang"))
	inv := payload("{}")
	inv.Deadline = time.Now().Add(200 * time.Millisecond)
	r := s.invoke(c, inv)
	wantOutcome(t, r, function.TimedOut)
	if r.Duration > 5*time.Second {
		t.Errorf("duration = %v, want about 200ms", r.Duration)
	}
}
