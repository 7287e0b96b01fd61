package entry

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner/oci"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// many is how many connections a flood opens.
const many = 1000

// playHostile is the side of functions that attack their Runtime API, and of the one whose invocation is to be answered for it. It has
// taken the invocation id.
func playHostile(verb, payload string, post func(id, kind, answer string) string, id string) {
	switch verb {
	case "flood":
		post(id, "response", fmt.Sprint(flood()))
	case "forge": // answers for those that it is told of, then its own
		var ids []string
		if err := json.Unmarshal([]byte(payload), &ids); err != nil {
			panic(err)
		}
		var told []string
		for _, other := range ids {
			told = append(told, post(other, "response", `"forged"`), post(other, "error", `{"errorType":"Forged"}`))
		}
		b, err := json.Marshal(told)
		if err != nil {
			panic(err)
		}
		post(id, "response", string(b))
	case "repeat": // answers again and again, and says on stdout how it was told of each answer
		told := map[string]int{}
		for i := range many {
			told[post(id, "response", strconv.Itoa(i))]++
		}
		fmt.Println("told", told)
	case "await": // answers when it is told to end
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		fmt.Println("taken", id)
		<-end
		post(id, "response", `"my own"`)
		os.Exit(0)
	}
}

// flood opens connections to the Runtime API, asks on each without an end and says how many of them were not closed. They stay as they are.
func flood() (held int) {
	closed := make(chan struct{}, many)
	for range many {
		nc, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
		if err != nil {
			panic(err)
		}
		io.WriteString(nc, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX-")
		go func() {
			io.Copy(io.Discard, nc)
			closed <- struct{}{}
		}()
	}
	held = many
	for quiet := 3 * time.Second; ; {
		select {
		case <-closed:
			held--
		case <-time.After(quiet):
			return held
		}
		if held < maxAPIConns { // as many as may be: is one more closed, soon?
			quiet = 300 * time.Millisecond
		}
	}
}

// The second table in docs/security.md is what came of these tries; -update writes it.
func TestEscapesThroughTheRuntimeAPI(t *testing.T) {
	page := runnertest.Document{Page: "../../docs/security.md", Name: "runtime api", Update: *update}
	if os.Geteuid() != 0 {
		runnertest.LeaveEscapes(t, escapes(t, newNativeStage(t)))
		return
	}
	for _, c := range []struct {
		runner string
		tries  func(*testing.T) []runnertest.Escape
	}{
		{"native, root", func(t *testing.T) []runnertest.Escape { return escapes(t, newNativeStage(t)) }},
		{"native, ordinary user", func(t *testing.T) []runnertest.Escape {
			need.Linux(t)
			return runnertest.EscapesAsOrdinaryUser(t, "TestEscapesThroughTheRuntimeAPI")
		}},
		{"oci:crun", func(t *testing.T) []runnertest.Escape { return escapes(t, newOCIStage(t, "crun")) }},
		{"oci:runc", func(t *testing.T) []runnertest.Escape { return escapes(t, newOCIStage(t, "runc")) }},
		{"oci:runsc", func(t *testing.T) []runnertest.Escape { return escapes(t, newOCIStage(t, "runsc")) }},
		{"process", func(t *testing.T) []runnertest.Escape { return escapes(t, newStage(t)) }},
	} {
		t.Run(c.runner, func(t *testing.T) { page.Check(t, c.runner, c.tries(t)) })
	}
}

func escapes(t *testing.T, s *stage) []runnertest.Escape {
	return []runnertest.Escape{s.escapesFlooding(t), s.escapesForging(t), s.escapesRepeating(t), s.escapesFilling(t)}
}

// newOCIStage is one with sandboxes that an OCI runtime makes.
func newOCIStage(t *testing.T, runtime string) *stage {
	t.Helper()
	need.Root(t)
	need.Program(t, runtime)
	r, err := oci.New(oci.Options{Runtime: runtime, StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	return newStageWith(t, r)
}

// escapesRepeating lets one function answer an invocation many times over.
func (s *stage) escapesRepeating(t *testing.T) runnertest.Escape {
	c := s.start(version("lambda:repeat"))
	r := s.invoke(c, payload(`{}`))
	wantOutcome(t, r, function.Succeeded)
	if string(r.Body) != "0" {
		t.Errorf("the call ended with %q, want the first answer", r.Body)
	}
	told := s.line("told").Text
	if want := fmt.Sprintf("map[202:1 403 InvalidStateTransition:%d]", many-1); !strings.Contains(told, want) {
		t.Errorf("it was %s, want %s", told, want)
	}
	if r := s.invoke(c, payload(`{}`)); string(r.Body) != "0" {
		t.Errorf("the next call ended with %q, want its own first answer", r.Body)
	}
	return runnertest.Escape{
		Try:    fmt.Sprintf("answer one invocation %d times", many),
		Answer: "the first answer counts; 403 InvalidStateTransition for the others",
	}
}

// escapesFilling lets one function answer with more than the node takes.
func (s *stage) escapesFilling(t *testing.T) runnertest.Escape {
	c := s.start(version("lambda:big=100000000"))
	r := s.invoke(c, payload(`{}`))
	wantFailure(t, r, function.BadAnswer, "Function.ResponseSizeTooLarge", "limits.response")
	if len(r.Body) > 0 {
		t.Errorf("%d bytes of the answer were kept", len(r.Body))
	}
	return runnertest.Escape{Try: "answer with 100 MB", Answer: "413 at `limits.response`; the call fails as Function.ResponseSizeTooLarge"}
}

// escapesFlooding lets one function take all connections that it can, while another is called and a third is started.
func (s *stage) escapesFlooding(t *testing.T) runnertest.Escape {
	neighbour := s.start(version("lambda:echo"))
	hostile := s.start(version("lambda:flood", func(spec *function.Spec) { spec.Resources.Files = 2 * many }))
	flooded := make(chan *function.Result, 1)
	go func() {
		r, err := hostile.Invoke(t.Context(), payload(`{}`))
		if err != nil {
			t.Errorf("Invoke of the function that floods: %v", err)
		}
		flooded <- r
	}()
	var r *function.Result
	for over := false; !over; {
		wantOutcome(t, s.invoke(neighbour, payload(`{}`)), function.Succeeded)
		select {
		case r = <-flooded:
			over = true
		default:
		}
	}
	if r == nil {
		t.FailNow()
	}
	wantOutcome(t, r, function.Succeeded)
	wantOutcome(t, s.invoke(neighbour, payload(`{}`)), function.Succeeded)
	wantOutcome(t, s.once("lambda:echo", payload(`{}`)), function.Succeeded)
	api := hostile.(*lambdaConn).api
	api.mu.Lock()
	open := len(api.open)
	api.mu.Unlock()
	ability, err := s.entries.Runner.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A kernel of its own that cannot keep up holds connections which the node never hears of.
	rest := "are closed"
	if ability.Kernel {
		rest = "are closed, or wait in its own kernel"
	} else if string(r.Body) != fmt.Sprint(open-1) {
		t.Errorf("the function holds %s connections beside its own, and the node %d", r.Body, open-1)
	}
	if open != maxAPIConns {
		t.Errorf("the node holds %d connections of %d, want %d", open, many, maxAPIConns)
	}
	return runnertest.Escape{
		Try:    fmt.Sprintf("flood its Runtime API with %d connections that ask without an end", many),
		Answer: fmt.Sprintf("%d stay open beside its own, the others %s; meanwhile calls and starts of other functions succeed", open-1, rest),
	}
}

// escapesForging lets one function answer for the invocation that another one has.
func (s *stage) escapesForging(t *testing.T) runnertest.Escape {
	victim := s.start(version("lambda:await"))
	inv := payload(`{}`)
	ended := make(chan *function.Result, 1)
	go func() {
		r, err := victim.Invoke(t.Context(), inv)
		if err != nil {
			t.Errorf("Invoke of the function that is answered for: %v", err)
		}
		ended <- r
	}()
	s.line("taken " + inv.ID)
	hostile := s.start(version("lambda:forge"))
	first := payload(`[]`)
	wantOutcome(t, s.invoke(hostile, first), function.Succeeded)
	ids, err := json.Marshal([]string{inv.ID, first.ID, strings.Repeat("a", 4096)})
	if err != nil {
		t.Fatal(err)
	}
	r := s.invoke(hostile, payload(string(ids)))
	wantOutcome(t, r, function.Succeeded)
	var told []string
	if err := json.Unmarshal(r.Body, &told); err != nil {
		t.Fatal(err)
	}
	told = slices.Compact(told)
	if !slices.Equal(told, []string{"400 InvalidRequestID"}) {
		t.Fatalf("forged answers were told %s, want the same refusal for each", told)
	}
	select {
	case r := <-ended:
		t.Fatalf("the other function's invocation ended as %+v", r)
	default:
	}
	victim.Stop(10 * time.Second)
	if own := <-ended; own == nil || string(own.Body) != `"my own"` {
		t.Errorf("the invocation ended as %+v, want its function's own answer", own)
	}
	return runnertest.Escape{
		Try:    "answer, at its Runtime API, for the request id of another function's invocation, or of its last one",
		Answer: told[0] + "; that invocation gets its own function's answer",
	}
}
