package entry

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// serveOne is a server that serves one connection to its end before the next. Requests to /hang have no answer.
func serveOne() {
	l, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			panic(err)
		}
		for br := bufio.NewReader(nc); ; {
			req, err := http.ReadRequest(br)
			if err != nil {
				break
			}
			fmt.Println("serving", req.URL.Path)
			if req.URL.Path == "/hang" {
				time.Sleep(time.Hour)
			}
			body, _ := io.ReadAll(req.Body)
			fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		nc.Close()
	}
}

func TestAConnectionThatIsNeverAcceptedIsTold(t *testing.T) {
	s := newNativeStage(t)
	c := s.start(version("http:one", two, within(2*time.Second)))
	first := make(chan *function.Result, 1)
	go func() {
		r, err := c.Invoke(context.Background(), &function.Invocation{ID: "r-1", Request: httptest.NewRequest("GET", "/hang", nil)})
		if err != nil {
			t.Errorf("Invoke: %v", err)
		}
		first <- r
	}()
	s.line("serving /hang")
	const hint = "it never accepted the connection of this request: a server that serves one connection at a time needs entry.concurrency: 1"
	wantFailure(t, s.invoke(c, payload(`{}`)), function.TimedOut, "Sandbox.Timedout", "time-out of 2s; "+hint)
	if r := <-first; r == nil || r.Outcome != function.TimedOut || strings.Contains(r.Failure.Message, "accepted") {
		t.Errorf("the call whose connection was accepted ended as %+v, want a time-out and no more", r)
	}
}

// An upload comes by a connection of its own, which such a server would not accept while it waits on the one before.
func TestAServerOfOneConnectionAtATimeTakesUploads(t *testing.T) {
	s := newStage(t)
	c := s.start(version("http:one", within(2*time.Second)))
	for range 3 {
		wantOutcome(t, s.invoke(c, payload(`{}`)), function.Succeeded)
		req := httptest.NewRequest("POST", "/", nil)
		body := newSender()
		req.Body, req.ContentLength = body, 4
		go func() {
			io.WriteString(body.give, "come")
			body.give.Close()
		}()
		r := s.invoke(c, &function.Invocation{ID: "r-1", Request: req})
		wantOutcome(t, r, function.Succeeded)
		if string(r.Body) != "come" {
			t.Errorf("answer = %s, want what was sent", r.Body)
		}
	}
}
