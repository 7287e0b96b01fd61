package gateway

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// parrot is a fleet whose functions give back what comes, as it comes. What the client does wrong is told as an http function's entry tells it.
func parrot(_ context.Context, c fleet.Call) (*function.Result, error) {
	r := c.Invocation.Request
	body, ok := r.Body.(function.Upload)
	if !ok {
		return nil, fault.New(fault.Internal, "the body is %T", r.Body)
	}
	body.Open()
	var w io.Writer = io.Discard
	if r.URL.Path == "/parrot" {
		var err error
		if w, err = c.Invocation.Responder.Respond(function.Head{Status: 200, Length: -1, Header: http.Header{"Content-Type": {"text/plain"}}}); err != nil {
			return nil, err
		}
	}
	n, err := io.Copy(w, body)
	if failed := body.Err(); failed != nil {
		return &function.Result{Outcome: function.Failed, Abandoned: true, Status: 400, Streamed: n, Failure: &function.Failure{Message: failed.Error()}}, nil
	}
	return &function.Result{Outcome: function.Succeeded, Status: 200, Version: 1, Streamed: n, Header: http.Header{}, Body: fmt.Append(nil, n)}, err
}

func uploading(t *testing.T, change ...func(*Options)) *node {
	n := start(t, taking(parrot), change...)
	n.deploy("parrot", route("web", "POST", "/parrot"), route("sum", "POST", "/sum"))
	return n
}

func TestABodyIsPassedOnWhileItComes(t *testing.T) {
	for _, name := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/1.1 with all policies", "HTTP/2.0 with all policies"} {
		protocol, _, withAll := strings.Cut(name, " ")
		t.Run(name, func(t *testing.T) {
			n := uploading(t)
			if withAll {
				n.deploy("parrot", enduring("POST", func(r *function.Route) { r.Path = "/parrot"; allPolicies(r) }))
			}
			client := http.DefaultClient
			if protocol == "HTTP/2.0" {
				client, _ = http2(t)
			}
			in, give := io.Pipe()
			req, err := http.NewRequest("POST", n.url+"/parrot", in)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req) // answered before anything was sent
			if err != nil || resp.Proto != protocol {
				t.Fatalf("answer = %v, %v", resp, err)
			}
			defer resp.Body.Close()
			back := bufio.NewReader(resp.Body)
			for i := range 3 {
				line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 50_000))
				if _, err := io.WriteString(give, line); err != nil {
					t.Fatal(err)
				}
				if got, err := back.ReadString('\n'); err != nil || got != line {
					t.Fatalf("line of %d bytes, %v, want %d", len(got), err, len(line))
				}
			}
			give.Close()
			if rest, err := io.ReadAll(back); err != nil || len(rest) > 0 {
				t.Errorf("rest = %q, %v", rest, err)
			}
			got := n.requests(1)[0]
			if got.BodySize != 3*50_003 || len(got.Body) != keptBody || !bytes.HasPrefix(got.Body, []byte("0 xxx")) || got.AnswerSize != got.BodySize {
				t.Errorf("recorded %d of %d bytes, answer %d", len(got.Body), got.BodySize, got.AnswerSize)
			}
		})
	}
}

func TestWhichBodiesArePassedOn(t *testing.T) {
	n := uploading(t, func(o *Options) { o.Limits.Request, o.Limits.Upload = 100, 100_000 })
	for _, c := range []struct {
		path   string
		size   int
		known  bool
		status int
		text   string
	}{
		{"/sum", 100, true, 500, ""}, // whole, which a parrot does not take
		{"/sum", 101, true, 200, "101"},
		{"/sum", 5, false, 200, "5"},
		{"/sum", 100_000, false, 200, "100000"},
		{"/sum", 100_001, true, 413, "limit of 100000 bytes"},
		{"/sum", 100_001, false, 413, "limit of 100000 bytes"},
		{"/sum", 1_000_000, false, 413, "limit of 100000 bytes"},
	} {
		var body io.Reader = strings.NewReader(strings.Repeat("x", c.size))
		if !c.known {
			body = io.MultiReader(body)
		}
		req, err := http.NewRequest("POST", n.url+c.path, body)
		if err != nil {
			t.Fatal(err)
		}
		if g := n.do(req); g.status != c.status || !strings.Contains(g.body, c.text) {
			t.Errorf("POST of %d bytes (known: %v) = %d %s, want %d %q", c.size, c.known, g.status, g.body, c.status, c.text)
		}
	}
}

// A route that keeps its request in the log before the answer needs it whole.
func TestADurableRouteTakesABodyWhole(t *testing.T) {
	n := start(t, script(mirror), func(o *Options) { o.Limits.Request = 100 })
	durable := route("kept", "POST", "/kept")
	durable.Route.Durable = true
	n.deploy("f", durable)
	for size, status := range map[int]int{100: 200, 101: 413} {
		req, err := http.NewRequest("POST", n.url+"/kept", io.MultiReader(strings.NewReader(strings.Repeat("x", size))))
		if err != nil {
			t.Fatal(err)
		}
		if g := n.do(req); g.status != status {
			t.Errorf("POST of %d bytes = %d %s, want %d", size, g.status, g.body, status)
		}
	}
}

func TestAClientThatTheFunctionWaitedForInVainIsTheOneThatWasLate(t *testing.T) {
	err := (&upload{}).blamed()
	if status := statusOf(fault.KindOf(err), err); status != http.StatusRequestTimeout {
		t.Errorf("%v: status %d, want 408", err, status)
	}
}

func TestAClientThatDoesNotFinishItsBody(t *testing.T) {
	n := uploading(t, func(o *Options) { o.BodyTimeout = 100 * time.Millisecond })
	c := n.dial(t)
	if _, err := io.WriteString(c, "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"); err != nil {
		t.Fatal(err)
	}
	if g := readAnswer(t, c); g.status != 408 { // it stands still
		t.Errorf("answer = %d %s, want 408", g.status, g.body)
	}
	c = n.dial(t)
	if _, err := io.WriteString(c, "POST /parrot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil { // it ends in the middle
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("an answer that broke off is whole: %q", b)
	}
	for _, r := range n.requests(2) {
		if !r.Abandoned || r.BodySize != 4 || string(r.Body) != "half" || r.Outcome != function.Failed {
			t.Errorf("recorded %+v", r)
		}
	}
}

func TestContinueIsSaidWhenTheFunctionReads(t *testing.T) {
	n := uploading(t, func(o *Options) { o.Limits.Request = 1 })
	c := n.dial(t)
	if _, err := io.WriteString(c, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("interim answer = %v, %v, want 100", resp, err)
	}
	if _, err := io.WriteString(c, "abc"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "3" {
		t.Errorf("answer = %q, %v", b, err)
	}
}

// A call that comes to nothing leaves the connection as net/http wants it, whatever of the body is on its way.
func TestAnUploadThatNobodyTakes(t *testing.T) {
	n := start(t, taking(func(context.Context, fleet.Call) (*function.Result, error) {
		return nil, fault.New(fault.Exhausted, "all instances are busy")
	}))
	n.deploy("busy", route("web", "POST", "/busy"))
	for range 20 {
		req, err := http.NewRequest("POST", n.url+"/busy", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000))))
		if err != nil {
			t.Fatal(err)
		}
		if g := n.do(req); g.status != 429 && g.status != 503 {
			t.Fatalf("answer = %d %s", g.status, g.body)
		}
	}
}
