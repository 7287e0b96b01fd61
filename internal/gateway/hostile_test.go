package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// dial opens a plain connection to the node.
func (n *node) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends bytes as they are and reads one answer.
func (n *node) raw(t *testing.T, text string) got {
	t.Helper()
	c := n.dial(t)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, c)
}

func readAnswer(t *testing.T, c net.Conn) got {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return got{resp.StatusCode, resp.Header, string(b)}
}

func TestHostileRequests(t *testing.T) {
	called := 0
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		called++
		return mirror(ctx, c)
	}))
	n.deploy("f", route("web", "", "/f"))
	tests := []struct {
		name, text string
		status     int
		reaches    bool
	}{
		{"two hosts", "GET /f HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, false},
		{"no host", "GET /f HTTP/1.1\r\n\r\n", 400, false},
		{"two lengths", "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, false},
		{"negative length", "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, false},
		{"length that is none", "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 1a\r\n\r\nab", 400, false},
		{"unknown transfer coding", "POST /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, false},
		{"bad chunk", "POST /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, false},
		{"header with a line break in its name", "GET /f HTTP/1.1\r\nHost: a\r\nA\rB: c\r\n\r\n", 400, false},
		{"header with a null", "GET /f HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n", 400, false},
		{"headers without end", "GET /f HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", 431, false},
		{"path that is malformed", "GET /f%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, false},
		{"the asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, false},
		{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, false},
		{"whole URL", "GET http://a/f HTTP/1.1\r\nHost: b\r\n\r\n", 200, true},
		{"path that climbs", "GET /_/fn/../../f HTTP/1.1\r\nHost: a\r\n\r\n", 401, false},
		{"path that climbs, encoded", "GET /x/%2e%2e/_/fn/f HTTP/1.1\r\nHost: a\r\n\r\n", 404, false},
		{"reserved path, encoded", "GET /%5F/fn/f HTTP/1.1\r\nHost: a\r\n\r\n", 401, false},
		{"reserved path with a slash more", "GET //_/fn/f HTTP/1.1\r\nHost: a\r\n\r\n", 307, false},
		{"HTTP/1.0", "GET /f HTTP/1.0\r\n\r\n", 200, true},
		{"body that is shorter than its length", "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc", 400, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := called
			c := n.dial(t)
			if _, err := io.WriteString(c, tt.text); err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if g := readAnswer(t, c); g.status != tt.status {
				t.Errorf("answer = %d %s, want %d", g.status, g.body, tt.status)
			}
			if reached := called > before; reached != tt.reaches {
				t.Errorf("function called: %v, want %v", reached, tt.reaches)
			}
		})
	}
	if g := n.send("GET", "/f", "", "Authorization", ""); g.status != 200 {
		t.Errorf("after all that GET /f = %d, want 200", g.status)
	}
}

// TestSmuggledRequest: with both a coding and a length the coding counts (RFC 9112, section 6.3), so the length cannot make a
// request of what another one sent as its body.
func TestSmuggledRequest(t *testing.T) {
	n := start(t, script(mirror))
	n.deploy("f", route("web", "", "/f"))
	c := n.dial(t)
	if _, err := io.WriteString(c, "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2d\r\nGET /_/health HTTP/1.1\r\nHost: a\r\nA: 0123456\r\n\r\n0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(all), "|45 GET /_/health") || strings.Count(string(all), "HTTP/1.1 200") != 1 {
		t.Errorf("answers = %s, want one, to a request whose body is the inner one", all)
	}
}

func TestHopByHopDoesNotReachTheFunction(t *testing.T) {
	n := start(t, script(mirror))
	n.deploy("f", route("web", "", "/f"))
	g := n.raw(t, "GET /f HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Secret\r\nX-Secret: s\r\nKeep-Alive: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Authorization: p\r\nX-Open: o\r\nConnection: close\r\n\r\n")
	if g.status != 200 || g.header.Get("X-Got-X-Open") != "o" {
		t.Fatalf("answer = %d %v", g.status, g.header)
	}
	for _, name := range []string{"Connection", "X-Secret", "Keep-Alive", "Te", "Upgrade", "Proxy-Authorization"} {
		if v := g.header.Get("X-Got-" + name); v != "" {
			t.Errorf("header %s = %q reached the function", name, v)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	n := start(t, script(mirror), func(o *Options) { o.Limits.Request = 100_000 })
	n.deploy("f", route("web", "", "/f"))
	for _, size := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, 99_999, 100_000, 100_001, 400_000} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(size, chunked), func(t *testing.T) {
				var body io.Reader = strings.NewReader(strings.Repeat("x", size))
				if chunked {
					body = io.MultiReader(body) // hides the length
				}
				req, err := http.NewRequest("POST", n.url+"/f", body)
				if err != nil {
					t.Fatal(err)
				}
				g := n.do(req)
				switch {
				case size > 100_000:
					if f := g.fault(t); g.status != 413 || !strings.Contains(f.Message, "100000 bytes") {
						t.Errorf("answer = %d %+v, want 413 with the limit", g.status, f)
					}
				case g.status != 200 || !strings.HasSuffix(g.body, fmt.Sprintf("|%d %s|", size, strings.Repeat("x", size))):
					t.Errorf("answer = %d, %d bytes, want 200 and the body", g.status, len(g.body))
				}
			})
		}
	}
	n.holdsNothing(t)
}

// TestContinueIsNotSaidToWhatIsTooLarge: a client that asks first is refused before it sends.
func TestContinueIsNotSaidToWhatIsTooLarge(t *testing.T) {
	n := start(t, script(mirror), func(o *Options) { o.Limits.Request = 10 })
	n.deploy("f", route("web", "", "/f"))
	if g := n.raw(t, "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"); g.status != 413 {
		t.Errorf("answer = %d %s, want 413 without 100", g.status, g.body)
	}
	c := n.dial(t)
	if _, err := io.WriteString(c, "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 100 {
		t.Fatalf("interim answer = %v, %v, want 100", resp, err)
	}
	if _, err := io.WriteString(c, "abc"); err != nil {
		t.Fatal(err)
	}
	if resp, err = http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("answer = %v, %v, want 200", resp, err)
	}
}

func TestSlowBody(t *testing.T) {
	n := start(t, script(mirror), func(o *Options) { o.BodyTimeout = 50 * time.Millisecond })
	n.deploy("f", route("web", "", "/f"))
	for _, head := range []string{"POST /f %sContent-Length: 10", "POST /f %sTransfer-Encoding: chunked"} {
		g := n.raw(t, fmt.Sprintf(head, "HTTP/1.1\r\nHost: a\r\n")+"\r\n\r\n3\r\n")
		if f := g.fault(t); g.status != 408 || f.Kind != "timeout" {
			t.Errorf("%s: answer = %d %+v, want 408", head, g.status, f)
		}
	}
	// Who is refused before the body is read waits no longer for it than anybody else.
	for path, status := range map[string]int{"/_/events": 401, "/_/fn/f": 401, "/none": 404, "/_/health": 405} {
		if g := n.raw(t, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"); g.status != status {
			t.Errorf("POST %s = %d %s, want %d", path, g.status, g.body, status)
		}
	}
	n.holdsNothing(t)
}

// TestSlowFunctionOutlivesTheBodyTimeout: the bound on the body is no bound on what comes after it.
func TestSlowFunctionOutlivesTheBodyTimeout(t *testing.T) {
	const bound = 50 * time.Millisecond
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		select {
		case <-time.After(4 * bound):
		case <-ctx.Done():
			t.Error("the call was given up")
		}
		return mirror(ctx, c)
	}), func(o *Options) { o.BodyTimeout = bound })
	n.deploy("f", route("web", "", "/f"))
	for range 2 { // the second on the same connection
		if g := n.send("POST", "/f", "abc", "Authorization", ""); g.status != 200 {
			t.Errorf("answer = %d %s, want 200", g.status, g.body)
		}
	}
}

// TestOldConnection: the time that an answer had does not end the connection's later requests, whatever they are.
func TestOldConnection(t *testing.T) {
	const bound = 50 * time.Millisecond
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "clock" {
			<-time.After(3 * bound)
		}
		return mirror(ctx, c)
	}), func(o *Options) { o.BodyTimeout = bound })
	n.deploy("f", route("web", "", "/f"))
	for _, tt := range []struct {
		request string
		status  int
	}{
		{"GET /f HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		{"GET /_/health HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"GET //f HTTP/1.1\r\nHost: a\r\n\r\n", 307},
		{"POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 100},
	} {
		c := n.dial(t)
		r := bufio.NewReader(c)
		for i, request := range []string{"GET /f HTTP/1.1\r\nHost: a\r\n\r\n", tt.request} {
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("answer %d to %q: %v", i, request, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if want := []int{200, tt.status}[i]; resp.StatusCode != want {
				t.Errorf("answer %d to %q = %d, want %d", i, request, resp.StatusCode, want)
			}
			if i == 0 {
				n.send("GET", "/_/fn/clock", "") // meanwhile the first answer's time passes
			}
		}
	}
}

func TestHeldBodiesAreBounded(t *testing.T) {
	running, free := make(chan struct{}, 8), make(chan struct{})
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		running <- struct{}{}
		<-free
		return mirror(ctx, c)
	}), func(o *Options) { o.Limits = Limits{Request: 1000, Held: 2500} })
	n.deploy("f", route("web", "", "/f"))
	done := make(chan got, 2)
	for range 2 {
		go func() { done <- n.send("POST", "/f", strings.Repeat("x", 1000), "Authorization", "") }()
	}
	<-running
	<-running
	g := n.send("POST", "/f", strings.Repeat("x", 1000), "Authorization", "")
	if f := g.fault(t); g.status != 503 || g.header.Get("Retry-After") == "" || f.Kind != "exhausted" {
		t.Errorf("third body: answer = %d %+v, want 503 and Retry-After", g.status, f)
	}
	close(free)
	for range 2 {
		if g := <-done; g.status != 200 {
			t.Errorf("held call = %d, want 200", g.status)
		}
	}
	if g := n.send("POST", "/f", strings.Repeat("x", 1000), "Authorization", ""); g.status != 200 {
		t.Errorf("after the others: %d, want 200", g.status)
	}
}

func TestServerCutsSlowHeaders(t *testing.T) {
	s := Server(http.NotFoundHandler(), quiet())
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("Server = %+v, want bounds on headers and idle connections", s)
	}
	if s.ReadTimeout != 0 || s.WriteTimeout != 0 {
		t.Errorf("Server bounds whole requests (%v, %v): a function may run for long", s.ReadTimeout, s.WriteTimeout)
	}
}
