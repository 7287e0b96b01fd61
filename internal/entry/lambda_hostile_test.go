package entry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// taken starts an invocation and lets the function, which is the test, take it on nc.
func taken(t *testing.T, change ...func(*function.Spec)) (c *lambdaConn, dial func() net.Conn, nc net.Conn, id string, ended <-chan *function.Result) {
	t.Helper()
	c, dial = playRuntime(t, change...)
	inv := payload(`"hello"`)
	nc, ended = take(t, c, dial, inv)
	return c, dial, nc, inv.ID, ended
}

// take starts inv on an instance whose function is the test, and takes it on nc.
func take(t *testing.T, c *lambdaConn, dial func() net.Conn, inv *function.Invocation) (nc net.Conn, ended <-chan *function.Result) {
	t.Helper()
	nc = dial()
	io.WriteString(nc, getNext)
	<-c.ready
	results := make(chan *function.Result, 1)
	go func() {
		r, err := c.Invoke(context.Background(), inv)
		if err != nil {
			t.Errorf("Invoke: %v", err)
		}
		results <- r
	}()
	next, err := http.ReadResponse(newReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, next.Body); err != nil {
		t.Fatal(err)
	}
	return nc, results
}

func post(path string, size int, body string) string {
	return fmt.Sprintf("POST /2018-06-01/runtime/invocation/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, size, body)
}

func status(t *testing.T, nc net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(newReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// A function can make dalamb hold one answer, however many it sends at the same time.
func TestOneAnswerIsReadAtATime(t *testing.T) {
	_, dial, first, id, ended := taken(t)
	io.WriteString(first, strings.Replace(post(id+"/response", 8, ""), "Host: x", "Host: x\r\nExpect: 100-continue", 1))
	if got := status(t, first); got != http.StatusContinue {
		t.Fatalf("an answer that waits to be read = %d, want 100", got)
	}
	io.WriteString(first, `"fir`) // and no more for now
	for _, path := range []string{id + "/response", id + "/error"} {
		other := dial()
		io.WriteString(other, post(path, 8, `"second"`))
		if got := status(t, other); got != http.StatusForbidden {
			t.Errorf("%s while an answer is on its way = %d, want 403", path, got)
		}
	}
	other := dial()
	io.WriteString(other, getNext)
	if got := status(t, other); got != http.StatusForbidden {
		t.Errorf("next while an answer is on its way = %d, want 403", got)
	}
	io.WriteString(first, `st!"`)
	if r := <-ended; string(r.Body) != `"first!"` {
		t.Errorf("answer = %s, want the first one", r.Body)
	}
	if got := status(t, first); got != http.StatusAccepted {
		t.Errorf("the first answer = %d, want 202", got)
	}
	io.WriteString(first, post(id+"/response", 1, "2"))
	if got := status(t, first); got != http.StatusForbidden {
		t.Errorf("a second answer afterwards = %d, want 403", got)
	}
}

// An answer whose connection breaks may be sent again.
func TestAnAnswerThatBrokeOffMayComeAgain(t *testing.T) {
	_, dial, first, id, ended := taken(t)
	io.WriteString(first, post(id+"/response", 100, `"fir`))
	first.Close()
	for {
		again := dial()
		io.WriteString(again, post(id+"/response", 7, `"again"`))
		switch got := status(t, again); got {
		case http.StatusForbidden: // the broken one has not been noticed yet
			again.Close()
			continue
		case http.StatusAccepted:
		default:
			t.Fatalf("the second try = %d, want 202", got)
		}
		break
	}
	if r := <-ended; string(r.Body) != `"again"` {
		t.Errorf("answer = %s (%+v)", r.Body, r.Failure)
	}
}

func TestAnAnswerForAnotherInvocationIsRefused(t *testing.T) {
	c, dial, nc, id, ended := taken(t)
	forged := dial()
	for _, other := range []string{"8476a536-e9f4-11e8-9739-2dfe598c3fcd", strings.ToUpper(id) + "x", "..", strings.Repeat("a", 4096)} {
		io.WriteString(forged, post(other+"/response", 8, `"forged"`))
		if got := status(t, forged); got != http.StatusBadRequest {
			t.Errorf("an answer for %.40s = %d, want 400", other, got)
		}
	}
	io.WriteString(nc, post(id+"/response", 4, "true"))
	wantOutcome(t, <-ended, function.Succeeded)
	wantAccepted(t, nc)

	// What waits for its turn cannot be answered before it was taken.
	inv := payload(`"next"`)
	go func() {
		if _, err := c.Invoke(context.Background(), inv); err != nil && !errors.Is(err, ErrUndelivered) {
			t.Errorf("Invoke: %v", err)
		}
	}()
	io.WriteString(forged, post(inv.ID+"/response", 8, `"forged"`))
	if got := status(t, forged); got != http.StatusBadRequest {
		t.Errorf("an answer for what was not taken = %d, want 400", got)
	}
}

func TestAnAnswerThatNeverEndsIsTimedOut(t *testing.T) {
	_, _, nc, id, ended := taken(t, within(200*time.Millisecond))
	io.WriteString(nc, post(id+"/response", defaultAnswer, "{"))
	wantFailure(t, <-ended, function.TimedOut, "Sandbox.Timedout", "200ms")
}

func TestAFunctionThatNeverReadsIsNotWaitedFor(t *testing.T) {
	c, dial := playRuntime(t, within(300*time.Millisecond))
	nc := dial()
	nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	io.WriteString(nc, getNext)
	<-c.ready
	began := time.Now()
	r, err := c.Invoke(t.Context(), payload(`"`+strings.Repeat("x", 32<<20)+`"`))
	switch {
	case err != nil && !errors.Is(err, ErrUndelivered):
		t.Errorf("Invoke: %v", err)
	case err == nil && r.Outcome != function.TimedOut:
		t.Errorf("outcome = %s, want a time-out", r.Outcome)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Invoke took %v", took)
	}
}

func TestAThousandConnections(t *testing.T) {
	c, dial := playRuntime(t)
	for range 1000 {
		io.WriteString(dial(), "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nX-") // and no more
	}
	c.api.mu.Lock()
	open := len(c.api.open)
	c.api.mu.Unlock()
	if open > maxAPIConns {
		t.Errorf("%d connections are open, at most %d are allowed", open, maxAPIConns)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.Stop(0)
	}()
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Error("an instance with many connections does not stop")
	}
}
