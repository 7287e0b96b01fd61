package entry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is what a server does with one connection: it answers each request with the next text, and closes the connection
// after the last one when closes is set.
type script struct {
	answers []string
	closes  bool
	early   bool // it answers when it has a request's header
}

// actor is a server that follows scripts, one for each connection.
type actor struct {
	requests, dials atomic.Int32
	closed          chan struct{} // a value for each connection that it has closed
}

func (a *actor) play(nc net.Conn, s script) {
	defer nc.Close()
	br := bufio.NewReader(nc)
	for i := 0; ; i++ {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		a.requests.Add(1)
		if !s.early {
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
		}
		if i < len(s.answers) {
			if _, err := io.WriteString(nc, s.answers[i]); err != nil {
				return
			}
		}
		switch {
		case s.early:
			<-a.closed // it reads no more
			return
		case s.closes && i >= len(s.answers)-1:
			nc.Close()
			a.closed <- struct{}{}
			return
		}
	}
}

// scripted returns a client of a server that plays the scripts.
func scripted(t *testing.T, scripts ...script) (*httpClient, *actor) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{closed: make(chan struct{}, len(scripts))}
	played := make(chan struct{})
	go func() {
		defer close(played)
		for _, s := range scripts {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			a.play(nc, s)
		}
	}()
	h := &httpClient{keep: 4, dial: func(ctx context.Context) (net.Conn, error) {
		a.dials.Add(1)
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}}
	t.Cleanup(func() {
		l.Close()
		h.close()
		<-played
	})
	return h, a
}

func request(t *testing.T, method, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://fn/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func soon() time.Time { return time.Now().Add(10 * time.Second) }

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestWhichConnectionsCarryAnotherRequest(t *testing.T) {
	for _, c := range []struct {
		name, method, answer string
		closes               bool
		status               int
		body                 string
		again                bool
	}{
		{"length", "POST", okAnswer, false, 200, "ok", true},
		{"empty", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "", true},
		{"chunks", "POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n", false, 200, "ok", true},
		{"no content", "POST", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304, "", true},
		{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", false, 200, "", true},
		{"interim", "POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okAnswer, false, 200, "ok", true},
		{"kept by 1.0", "POST", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", true},
		{"close", "POST", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", false},
		{"1.0", "POST", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, "ok", false},
		{"to the end", "POST", "HTTP/1.1 200 OK\r\n\r\nok", true, 200, "ok", false},
		{"more than asked for", "POST", okAnswer + okAnswer, false, 200, "ok", false},
		{"upgrade", "POST", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\n", false, 101, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := script{answers: []string{c.answer, okAnswer}}
			if c.closes {
				first = script{answers: []string{c.answer}, closes: true}
			}
			h, a := scripted(t, first, script{answers: []string{okAnswer}})
			resp, body, err := ask(h, request(t, c.method, "in"), soon(), defaultAnswer)
			if err != nil || resp.StatusCode != c.status || string(body) != c.body {
				t.Fatalf("answer = %v, %q, %v, want %d, %q", resp, body, err, c.status, c.body)
			}
			if _, body, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer); err != nil || string(body) != "ok" {
				t.Fatalf("second answer = %q, %v", body, err)
			}
			if got := a.dials.Load() == 1; got != c.again {
				t.Errorf("the connection was used again: %v, want %v", got, c.again)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	hints := strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", maxHTTPHeader/32)
	for name, s := range map[string]script{
		"nothing":              {closes: true},
		"no HTTP":              {answers: []string{"SSH-2.0-OpenSSH_9.9\r\n\r\n"}},
		"half a header":        {answers: []string{"HTTP/1.1 200 OK\r\nContent-Le"}, closes: true},
		"half a body":          {answers: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}, closes: true},
		"half a chunk":         {answers: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok"}, closes: true},
		"two lengths":          {answers: []string{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"}},
		"a header without end": {answers: []string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHTTPHeader+bufferSlack)}},
		"hints without end":    {answers: []string{hints}},
	} {
		t.Run(name, func(t *testing.T) {
			h, a := scripted(t, s)
			if resp, body, err := ask(h, request(t, "GET", ""), soon(), defaultAnswer); err == nil {
				t.Errorf("answer = %v, %q, want an error", resp, body)
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the answer was waited for: %v", err)
			}
			if len(h.idle) != 0 || a.dials.Load() != 1 {
				t.Errorf("%d connections were kept, %d made, want 0, 1: a new connection is not tried again", len(h.idle), a.dials.Load())
			}
		})
	}
}

// bufferSlack is how much the reader may have taken beyond a bound.
const bufferSlack = 8 << 10

func TestAnswersBeyondTheLimitAreNotRead(t *testing.T) {
	for name, answer := range map[string]string{
		"announced":  fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", defaultAnswer+1),
		"chunked":    fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", defaultAnswer+9, strings.Repeat("x", defaultAnswer+9)),
		"to the end": "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", defaultAnswer+9),
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := scripted(t, script{answers: []string{answer}})
			if _, _, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer); !errors.Is(err, errAnswerTooLarge) {
				t.Errorf("do = %v, want %v", err, errAnswerTooLarge)
			}
			if len(h.idle) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestAConnectionThatWasClosedWhileIdleIsNotUsed(t *testing.T) {
	h, a := scripted(t, script{answers: []string{okAnswer}, closes: true}, script{answers: []string{okAnswer}})
	if _, _, err := ask(h, request(t, "POST", "1"), soon(), defaultAnswer); err != nil {
		t.Fatal(err)
	}
	<-a.closed // the kernel has told our side, which is on the same machine
	if _, _, err := ask(h, request(t, "POST", "2"), soon(), defaultAnswer); err != nil {
		t.Errorf("do after the server closed the connection: %v", err)
	}
	if a.requests.Load() != 2 {
		t.Errorf("the server got %d requests, want 2", a.requests.Load())
	}
}

// A request that met the end of a connection may have had its effects: only one that has none is sent again.
func TestWhatIsSentAgain(t *testing.T) {
	for _, c := range []struct {
		method, field string
		again         bool
	}{
		{"POST", "", false}, {"PUT", "", false}, {"DELETE", "", false}, {"POST", "Idempotency-Key", true},
		{"GET", "", true}, {"HEAD", "", true}, {"OPTIONS", "", true},
	} {
		t.Run(c.method+c.field, func(t *testing.T) {
			h, a := scripted(t, script{answers: []string{okAnswer, ""}, closes: true}, script{answers: []string{"HTTP/1.1 204 No Content\r\n\r\n"}})
			if _, _, err := ask(h, request(t, "POST", "1"), soon(), defaultAnswer); err != nil {
				t.Fatal(err)
			}
			req := request(t, c.method, "2")
			if c.field != "" {
				req.Header.Set(c.field, "7")
			}
			_, _, err := ask(h, req, soon(), defaultAnswer)
			if want := map[bool]int32{true: 3, false: 2}[c.again]; (err == nil) != c.again || a.requests.Load() != want {
				t.Errorf("do = %v, and the server got %d requests, want %d", err, a.requests.Load(), want)
			}
		})
	}
}

func TestAnAnswerBeforeTheRequestWasReadWhole(t *testing.T) {
	h, a := scripted(t, script{answers: []string{"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"}, early: true}, script{answers: []string{okAnswer}})
	resp, body, err := ask(h, request(t, "POST", strings.Repeat("x", 32<<20)), soon(), defaultAnswer)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || string(body) != "no" {
		t.Fatalf("answer = %v, %q, %v, want 413", resp, body, err)
	}
	a.closed <- struct{}{}
	if _, _, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer); err != nil || a.dials.Load() != 2 {
		t.Errorf("do = %v over connection %d, want one that owes nothing", err, a.dials.Load())
	}
}

func TestLargeRequestsArriveWhole(t *testing.T) {
	for name, make := range map[string]func() *http.Request{
		"body": func() *http.Request { return request(t, "POST", strings.Repeat("x", 3<<20)) },
		"header": func() *http.Request {
			r := request(t, "POST", "in")
			r.Header.Set("X", strings.Repeat("x", 200<<10))
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := scripted(t, script{answers: []string{okAnswer}}, script{answers: []string{okAnswer}})
			if _, body, err := ask(h, make(), soon(), defaultAnswer); err != nil || string(body) != "ok" {
				t.Errorf("answer = %q, %v", body, err)
			}
		})
	}
}

func TestAServerThatDoesNotAnswerIsNotWaitedForLonger(t *testing.T) {
	h, a := scripted(t, script{answers: []string{okAnswer, ""}})
	if _, _, err := ask(h, request(t, "GET", ""), soon(), defaultAnswer); err != nil {
		t.Fatal(err)
	}
	_, _, err := ask(h, request(t, "GET", ""), time.Now().Add(20*time.Millisecond), defaultAnswer)
	if !errors.Is(err, os.ErrDeadlineExceeded) || a.dials.Load() != 1 {
		t.Errorf("do = %v over %d connections, want the deadline over 1", err, a.dials.Load())
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		h := &httpClient{keep: 4, dial: func(context.Context) (net.Conn, error) {
			mine, its := net.Pipe()
			open.Add(1)
			go func() {
				defer open.Add(-1)
				br := bufio.NewReader(its)
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
					if _, err := io.Copy(its, bytes.NewReader([]byte(okAnswer))); err != nil {
						return
					}
				}
			}()
			return mine, nil
		}}
		defer h.close()
		calls := func(n int) {
			done := make(chan error)
			for range n {
				go func() {
					_, _, err := ask(h, request(t, "POST", "in"), soon(), defaultAnswer)
					done <- err
				}()
			}
			for range n {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		want := func(n int32) {
			t.Helper()
			synctest.Wait()
			if open.Load() != n {
				t.Errorf("%d connections are open, want %d", open.Load(), n)
			}
		}
		calls(6)
		want(4) // as many as are kept
		time.Sleep(idleConn / 2)
		calls(1)
		time.Sleep(idleConn * 3 / 4)
		want(1) // the one that was used since
		time.Sleep(idleConn)
		want(0)
		calls(2)
		want(2)
		h.close()
		want(0)
	})
}
