package entry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
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
	flooding := make([]net.Conn, many)
	for i := range flooding {
		nc, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
		if err != nil {
			panic(err)
		}
		io.WriteString(nc, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX-")
		flooding[i] = nc
	}
	// They are accepted one after another, so that all others are decided when this one is.
	io.Copy(io.Discard, flooding[many-1])
	for _, nc := range flooding {
		nc.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := nc.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			held++
			nc.SetReadDeadline(time.Time{})
			go io.Copy(io.Discard, nc)
		}
	}
	return held
}

// The second table in docs/security.md is what came of these tries; -update writes it.
func TestEscapesThroughTheRuntimeAPI(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		tries := []runnertest.Escape{s.escapesFlooding(t), s.escapesForging(t)}
		runnertest.Document{Page: "../../docs/security.md", Name: "runtime api", Update: *update}.Check(t, path.Base(t.Name()), tries)
	})
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
	if want := fmt.Sprint(maxAPIConns - 1); string(r.Body) != want {
		t.Errorf("%s of %d connections were held, want %s", r.Body, many, want)
	}
	return runnertest.Escape{
		Try:    fmt.Sprintf("flood its Runtime API with %d connections that ask without an end", many),
		Answer: fmt.Sprintf("%s stay open beside its own, the others are closed; meanwhile calls and starts of other functions succeed", r.Body),
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
