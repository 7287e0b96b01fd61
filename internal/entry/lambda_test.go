package entry

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

func TestALambdaGetsItsHeadersAndEnvironment(t *testing.T) {
	s := newStage(t)
	c := s.start(version("lambda:tell", func(spec *function.Spec) {
		spec.Env["CURRENCY"], spec.Env["DALAMB_FUNCTION"], spec.Env["LANG"] = "EUR", "another", "de_DE.UTF-8"
	}))
	inv := payload(`{"n":1}`)
	r := s.invoke(c, inv)
	wantOutcome(t, r, function.Succeeded)
	var got struct {
		Header http.Header
		Env    []string
	}
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("Lambda-Runtime-Aws-Request-Id") != inv.ID || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("header = %v", got.Header)
	}
	for _, absent := range []string{"Lambda-Runtime-Trace-Id", "Lambda-Runtime-Client-Context", "Lambda-Runtime-Cognito-Identity"} {
		if _, ok := got.Header[absent]; ok {
			t.Errorf("%s is there without a reason", absent)
		}
	}
	for _, want := range []string{
		"AWS_LAMBDA_FUNCTION_NAME=shop", "AWS_LAMBDA_FUNCTION_VERSION=3", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/shop", "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1", "_HANDLER=fn", "TZ=:UTC", "LAMBDA_TASK_ROOT=" + s.code,
		"DALAMB_FUNCTION=shop", "DALAMB_VERSION=3", "CURRENCY=EUR", "LANG=de_DE.UTF-8",
	} {
		if !slices.Contains(got.Env, want) {
			t.Errorf("environment has no %s: %v", want, got.Env)
		}
	}
	for _, e := range got.Env {
		if strings.HasPrefix(e, "AWS_ACCESS_KEY") || strings.HasPrefix(e, "AWS_SECRET") || strings.Contains(e, "{{") {
			t.Errorf("environment has %s", e)
		}
	}
}

func TestAnEventIsGivenStructured(t *testing.T) {
	s := newStage(t)
	e := &event.Event{ID: "1", Source: "/till", Type: "order.requested", Data: []byte(`{"total":7}`)}
	for _, behaves := range []string{"lambda:echo", "stdio:echo"} {
		r := s.once(behaves, &function.Invocation{ID: event.NewID(), Event: e})
		wantOutcome(t, r, function.Succeeded)
		if len(r.Events) != 1 || r.Events[0].ID != "1" || r.Events[0].Type != "order.requested" || string(r.Events[0].Data) != `{"total":7}` {
			t.Errorf("%s: events = %+v, want the event itself", behaves, r.Events)
		}
	}
}

// The words and statuses are those of AWS's Runtime Interface Emulator.
func TestWhatTheRuntimeAPIRefuses(t *testing.T) {
	s := newStage(t)
	c := s.start(version("lambda:wrong"))
	r := s.invoke(c, payload("{}"))
	wantOutcome(t, r, function.Succeeded)
	var got []string
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`,
		`400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`,
		`403 {"errorMessage":"State transition from Running to InitError failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}`,
		`404 {"errorMessage":"The Runtime API has no such path","errorType":"NotFound"}`,
		`400 {"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}`,
		`403 {"errorMessage":"State transition from Running to Ready failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}`,
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("refusal %d = %v, want %s", i, got[min(i, len(got)-1)], want)
		}
	}
	s.line(`202 {"status":"OK"}`)
	s.line(`403 {"errorMessage":"State transition from Ready to InvocationResponse`)
}

func TestAnAnswerThatIsTooLargeIsToldToTheFunction(t *testing.T) {
	s := newStage(t)
	s.once("lambda:big=6291457", payload("{}"))
	s.line(`413 {"errorMessage":"Exceeded maximum allowed payload size (6291456 bytes).","errorType":"RequestEntityTooLarge"}`)
}

func TestAStreamedAnswerIsGathered(t *testing.T) {
	s := newStage(t)
	if r := s.once("lambda:stream", payload("{}")); string(r.Body) != "part one, part two" {
		t.Errorf("answer = %q (%+v)", r.Body, r.Failure)
	}
	broken := base64.StdEncoding.EncodeToString([]byte(`{"errorType":"E","errorMessage":"` + strings.Repeat("long ", 500) + `"}`))
	r := s.once("lambda:stream="+broken, payload("{}"))
	wantFailure(t, r, function.Failed, "E", "long long")
}

func TestFailuresOfARequestAreGatewayStatuses(t *testing.T) {
	s := newStage(t)
	for behaves, want := range map[string]int{"lambda:error=secret": 502, "stdio:exit=3": 500, "lambda:crash": 502} {
		r := s.once(behaves, &function.Invocation{ID: event.NewID(), Request: httptest.NewRequest("GET", "/", nil)})
		if r.Status != want || len(r.Body) != 0 || r.Failure == nil {
			t.Errorf("%s = %d %q %+v, want status %d without a body", behaves, r.Status, r.Body, r.Failure, want)
		}
	}
}

// fakeBox is a sandbox in this process, whose function is the test.
type fakeBox struct {
	listener net.Listener
	done     chan struct{}
	stop     sync.Once
}

func (b *fakeBox) Listener() net.Listener { return b.listener }
func (b *fakeBox) Dial(context.Context) (net.Conn, error) {
	return net.Dial("tcp", b.listener.Addr().String())
}
func (b *fakeBox) Done() <-chan struct{} { return b.done }
func (b *fakeBox) Exit() runner.Exit     { return runner.Exit{} }
func (b *fakeBox) Stop(time.Duration) {
	b.stop.Do(func() {
		b.listener.Close()
		close(b.done)
	})
}
func (b *fakeBox) Usage() runner.Usage { return runner.Usage{} }

// runtime makes a lambdaConn whose function the test plays.
func playRuntime(t *testing.T, change ...func(*function.Spec)) (c *lambdaConn, dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &fakeBox{listener: l, done: make(chan struct{})}
	entries := &Entries{Options: Options{Now: time.Now, Log: func(function.LogLine) {}, Region: "us-east-1", MaxAnswer: defaultAnswer}}
	st := Start{ID: "i-1", Version: version("lambda:fake", change...)}
	c = newLambda(entries, st)
	c.box = box
	go c.serve()
	t.Cleanup(func() { c.Stop(0) })
	return c, func() net.Conn {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { nc.Close() })
		return nc
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

const getNext = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"

// Node's client would send its next request on a connection that is gone.
func TestAConnectionThatClosesWithAnInvocationSaysSo(t *testing.T) {
	c, dial := playRuntime(t)
	nc := dial()
	io.WriteString(nc, strings.Replace(getNext, "Host: x", "Host: x\r\nConnection: close", 1))
	<-c.ready
	inv := payload(`"hello"`)
	ended := make(chan *function.Result, 1)
	go func() {
		r, _ := c.Invoke(context.Background(), inv)
		ended <- r
	}()
	next, err := http.ReadResponse(newReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(next.Body)
	if err != nil || string(body) != `"hello"` || !next.Close || next.Header.Get("Lambda-Runtime-Aws-Request-Id") != inv.ID {
		t.Errorf("next = %q, %v, close %v, %v; want the invocation and that the connection closes", body, err, next.Close, next.Header)
	}
	io.WriteString(dial(), post(inv.ID+"/response", 2, "42"))
	if r := <-ended; r == nil || string(r.Body) != "42" {
		t.Errorf("result = %+v, want 42", r)
	}
}

func TestAPollThatWasGivenUpDoesNotSwallowAnInvocation(t *testing.T) {
	c, dial := playRuntime(t)
	first := dial()
	io.WriteString(first, getNext)
	<-c.ready
	second := dial() // the client timed out, and asks again on another connection
	io.WriteString(second, getNext)
	if _, err := io.ReadAll(first); err != nil {
		t.Fatalf("the poll that was given up: %v, want it closed", err)
	}
	result := make(chan *function.Result, 1)
	go func() {
		r, err := c.Invoke(t.Context(), payload(`"hello"`))
		if err != nil {
			t.Errorf("Invoke: %v", err)
		}
		result <- r
	}()
	buf := make([]byte, 4096)
	n, _ := second.Read(buf)
	id, _, _ := strings.Cut(strings.SplitN(string(buf[:n]), "Aws-Request-Id: ", 2)[1], "\r\n")
	fmt.Fprintf(second, "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ndone", id)
	if r := <-result; string(r.Body) != "done" {
		t.Errorf("answer = %s (%+v)", r.Body, r.Failure)
	}
}

func TestAFunctionCannotMakeTheRuntimeAPIHoldMuch(t *testing.T) {
	c, dial := playRuntime(t)
	endless := dial()
	go func() {
		io.WriteString(endless, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX: ")
		io.Copy(endless, strings.NewReader(strings.Repeat("x", 2*maxAPIHeader)))
	}()
	if n, err := endless.Read(make([]byte, 1)); err == nil {
		t.Errorf("an endless header was answered with %d bytes, want the connection closed", n)
	}
	var open []net.Conn
	for range maxAPIConns + 4 {
		open = append(open, dial())
	}
	last := open[len(open)-1]
	if _, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("connection %d was served", len(open))
	}
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	if len(c.api.open) > maxAPIConns {
		t.Errorf("%d connections are open, at most %d are allowed", len(c.api.open), maxAPIConns)
	}
}
