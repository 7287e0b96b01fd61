package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestShapesOfRequests: what parsers read in different ways has one meaning here, or none: one answer, and at most one request that reaches the
// function, whose body is what is behind the bar.
func TestShapesOfRequests(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		r := c.Invocation.Request
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: fmt.Appendf(nil, "saw %s %q|%s", r.URL.EscapedPath(), r.Header["A"], body)}, nil
	}))
	n.deploy("f", route("web", "", "/f"), route("one", "", "/p/{id}"), route("rest", "", "/r/{rest...}"))
	const post = "POST /f HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct {
		name, text string
		status     int
		saw        string // "" = nothing
	}{
		{"coding and length", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "saw /f []|"},
		{"coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, ""},
		{"coding behind another", post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501, ""},
		{"coding with a space before the colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, ""},
		{"coding with a tab", post + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 200, "saw /f []|"},
		{"coding with a control character", post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, ""},
		{"the same length twice", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 200, "saw /f []|abc"},
		{"length as a list", post + "Content-Length: 3, 3\r\n\r\nabc", 400, ""},
		{"length with a sign", post + "Content-Length: +3\r\n\r\nabc", 400, ""},
		{"length in hex", post + "Content-Length: 0x3\r\n\r\nabc", 400, ""},
		{"length beyond all numbers", post + "Content-Length: 99999999999999999999\r\n\r\nabc", 400, ""},
		{"chunk of a size beyond all numbers", post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400, ""},
		{"chunk of a negative size", post + "Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n", 400, ""},
		{"chunk that ends with a line feed alone", post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400, ""},
		{"chunk that is longer than it says", post + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400, ""},
		{"header over two lines", "GET /f HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 200, `saw /f ["b c"]|`},
		{"first header over two lines", "GET /f HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400, ""},
		{"lines that end with a line feed alone", "GET /f HTTP/1.1\nHost: a\nA: b\n\n", 200, `saw /f ["b"]|`},
		{"carriage return in a value", "GET /f HTTP/1.1\r\nHost: a\r\nA: b\rX: c\r\n\r\n", 400, ""},
		{"header without a name", "GET /f HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, ""},
		{"header with a space in its name", "GET /f HTTP/1.1\r\nHost: a\r\nA B: b\r\n\r\n", 400, ""},
		{"header that is no UTF-8", "GET /f HTTP/1.1\r\nHost: a\r\nA: \xff\xfe\r\n\r\n", 200, `saw /f ["\xff\xfe"]|`},
		{"method with a space", "GE T /f HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		{"method that is none", "G@T /f HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		{"line without a version", "GET /f\r\nHost: a\r\n\r\n", 400, ""},
		{"version that is not known", "GET /f HTTP/3.0\r\nHost: a\r\n\r\n", 505, ""},
		{"version with more digits", "GET /f HTTP/1.10\r\nHost: a\r\n\r\n", 400, ""},
		{"line that is too long", "GET /f?" + strings.Repeat("a", 80<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, ""},
		{"ten thousand headers", "GET /f HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 20_000) + "\r\n", 431, ""},
		{"host with a path", "GET /f HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, ""},
		{"null in the path", "GET /f\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		{"null in the path, encoded", "GET /p/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 200, "saw /p/%00 []|"},
		{"path that is no UTF-8", "GET /p/\xff HTTP/1.1\r\nHost: a\r\n\r\n", 200, "saw /p/%FF []|"},
		{"path that is no UTF-8, encoded", "GET /p/%ff HTTP/1.1\r\nHost: a\r\n\r\n", 200, "saw /p/%ff []|"},
		{"slash within a segment", "GET /p/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 200, "saw /p/a%2fb []|"},
		{"two slashes", "GET /r//a HTTP/1.1\r\nHost: a\r\n\r\n", 307, ""},
		{"path that climbs", "GET /r/../f HTTP/1.1\r\nHost: a\r\n\r\n", 307, ""},
		{"path that climbs out", "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 307, ""},
		{"path that climbs, encoded", "GET /r/%2e%2e/f HTTP/1.1\r\nHost: a\r\n\r\n", 200, "saw /r/%2e%2e/f []|"},
		{"backslashes", "GET /r/..\\..\\f HTTP/1.1\r\nHost: a\r\n\r\n", 200, `saw /r/..%5C..%5Cf []|`},
		{"fragment", "GET /f#x HTTP/1.1\r\nHost: a\r\n\r\n", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := n.dial(t)
			if _, err := io.WriteString(c, tt.text); err != nil {
				t.Fatal(err)
			}
			_ = c.(*net.TCPConn).CloseWrite() // it may have been answered and closed already
			all, err := io.ReadAll(c)
			if err != nil && len(all) == 0 {
				t.Fatal(err)
			}
			status, _, _ := strings.Cut(strings.TrimPrefix(string(all), "HTTP/1.1 "), " ")
			if status != fmt.Sprint(tt.status) || tt.saw == "" && bytes.Contains(all, []byte("saw ")) || !strings.HasSuffix(string(all), tt.saw) || bytes.Count(all, []byte("saw ")) > 1 {
				t.Errorf("answer = %.300s, want %d and %q", all, tt.status, tt.saw)
			}
		})
	}
	if g := n.send("GET", "/f", ""); g.status != 200 {
		t.Errorf("after all that: %d", g.status)
	}
}

// TestHeadersThatDripAreCutOff: who sends a byte now and then keeps a connection for as long as a header may take, and no longer.
func TestHeadersThatDripAreCutOff(t *testing.T) {
	n := start(t, says("ok"))
	s := Public(n.Gateway, quiet())
	s.ReadHeaderTimeout = 200 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, c) // until the server has ended it
	}()
	drip := time.NewTicker(20 * time.Millisecond)
	defer drip.Stop()
	_, _ = io.WriteString(c, "GET /f HTTP/1.1\r\nHost: a\r\n") // a connection that was cut off is what is waited for
	for cut := false; !cut; {
		select {
		case <-drip.C:
			_, _ = io.WriteString(c, "A: b\r\n")
		case <-ended:
			cut = true
		case <-t.Context().Done():
			t.Fatal("the connection is still there")
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
}

// TestStreamsThatAreResetAtOnce is CVE-2023-44487: who opens streams and gives each up again has no more calls under way than who does not, and loses
// the connection. Others are served.
func TestStreamsThatAreResetAtOnce(t *testing.T) {
	var under, most atomic.Int64
	free := make(chan struct{})
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Request.URL.Path == "/slow" {
			most.Store(max(most.Load(), under.Add(1)))
			<-free
			under.Add(-1)
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200}, nil
	}))
	n.deploy("f", route("slow", "", "/slow"), route("web", "", "/f"))
	c := n.dial(t)
	if _, err := io.WriteString(c, xhttp2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	frames := xhttp2.NewFramer(c, c)
	if err := frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan xhttp2.ErrCode, 1)
	go func() {
		defer close(gone)
		for {
			f, err := frames.ReadFrame()
			if err != nil {
				return
			}
			if away, is := f.(*xhttp2.GoAwayFrame); is {
				gone <- away.ErrCode
				return
			}
		}
	}()
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: "/slow"}} {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
		enc.SetMaxDynamicTableSize(0)
	}
	for id := uint32(1); id < 20_000; id += 2 {
		if frames.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}) != nil ||
			frames.WriteRSTStream(id, xhttp2.ErrCodeCancel) != nil {
			break // the connection is gone
		}
	}
	if code := <-gone; code != xhttp2.ErrCodeEnhanceYourCalm {
		t.Errorf("the connection ended by %v, want ENHANCE_YOUR_CALM", code)
	}
	if g := n.send("GET", "/f", ""); g.status != 200 {
		t.Errorf("another client: %d, want 200", g.status)
	}
	close(free)
	if most.Load() > streamsPerConnection {
		t.Errorf("%d calls were under way for one connection, want at most %d", most.Load(), streamsPerConnection)
	}
}

// TestAFloodOfUpgrades: each upgraded connection is one of the requests that a route takes at a time, until it ends.
func TestAFloodOfUpgrades(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		conn, err := c.Invocation.Responder.(function.Upgrader).Upgrade(http.Header{"Upgrade": {"websocket"}})
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		_, err = io.Copy(conn, conn)
		return &function.Result{Outcome: function.Succeeded, Status: 101}, err
	}))
	web := route("web", "", "/ws")
	web.Route.Concurrency = &function.RouteConcurrency{Max: 2}
	n.deploy("f", web)
	const ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	open := func() (net.Conn, string) {
		c := n.dial(t)
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len("HTTP/1.1 101"))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return c, string(b[9:])
	}
	first, status := open()
	if _, second := open(); status != "101" || second != "101" {
		t.Fatalf("the first two = %s, %s, want 101", status, second)
	}
	for range 20 {
		if _, status := open(); status != "503" {
			t.Fatalf("one too many = %s, want 503", status)
		}
	}
	first.Close()
	for status = "503"; status == "503"; { // until the function has seen that the first one ended
		_, status = open()
	}
	if got := n.metric("dalamb_gateway_crowded_total"); status != "101" || got < 20 {
		t.Errorf("where one ended: %s, and %v refusals were counted; want 101, and 20", status, got)
	}
}
