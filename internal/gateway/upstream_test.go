package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/upstream"
)

// withUpstreams starts a gateway whose routes may have upstreams.
func withUpstreams(t testing.TB, f Fleet, change ...func(*Options)) *node {
	t.Helper()
	var ups atomic.Pointer[upstream.Upstreams]
	n := start(t, f, append(change, func(o *Options) {
		o.Upstreams = func(t *catalog.Trigger) func() Backend {
			p := ups.Load().Pool(t)
			return func() Backend { return p.Begin() }
		}
	})...)
	u, err := upstream.New(upstream.Options{Catalog: n.catalog, MaxAnswer: 1 << 20, Services: func(string) ([]function.ServiceInstance, <-chan struct{}) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ups.Store(u)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = u.Run(ctx) })
	t.Cleanup(func() {
		n.stop()
		cancel()
		work.Wait()
	})
	return n
}

// answeredBy is a route whose requests go to servers.
func answeredBy(path string, urls ...string) function.Trigger {
	t := route("r", "", path)
	t.Route.Upstream = &function.Upstream{}
	for _, url := range urls {
		t.Route.Upstream.Static = append(t.Route.Upstream.Static, function.UpstreamServer{Address: url})
	}
	return t
}

// serverOf is an HTTP server that is no function.
func serverOf(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// nobodyAt is an address at which nobody listens.
func nobodyAt(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestAnUpstreamAnswersInTheFunctionsPlace(t *testing.T) {
	n := withUpstreams(t, says("the function ran"))
	s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Answer", "yes")
		w.Header().Set("Dalamb-Run", "mine")
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		if r.URL.Path == "/billing/none" {
			w.WriteHeader(404)
		}
		fmt.Fprintf(w, "%s %s %s %s|%s|%s|%s|%s|%s", r.Method, r.Host, r.URL, body, r.Header.Get("X-Forwarded-For"), r.Header.Get("Forwarded"), r.Header.Get("X-Request-Id"), r.Header.Get("Dalamb-Auth-Id"), r.Header.Get("X-Mine"))
	})
	n.deploy("shop", answeredBy("/billing/{rest...}", s.URL))
	g := n.send("POST", "/billing/7?a=b", "hello", "Host", "shop.example", "X-Request-Id", "me-1", "Dalamb-Auth-Id", "root", "Connection", "X-Mine", "X-Mine", "1", "X-Forwarded-For", "6.6.6.6")
	want := "POST shop.example /billing/7?a=b hello|127.0.0.1|for=127.0.0.1;host=shop.example;proto=http|me-1||"
	if g.status != 200 || g.body != want || g.header.Get("X-Answer") != "yes" || g.header.Get("X-Hop") != "" {
		t.Errorf("answer = %d %q %v, want 200 %q", g.status, g.body, g.header, want)
	}
	if run := g.header.Get("Dalamb-Run"); run == "" || run == "mine" {
		t.Errorf("Dalamb-Run = %q, want the node's", run)
	}
	if g := n.send("HEAD", "/billing/7", ""); g.status != 200 || g.header.Get("X-Answer") != "yes" {
		t.Errorf("HEAD = %d %v", g.status, g.header)
	}
	if g := n.send("GET", "/billing/none", ""); g.status != 404 || !strings.HasPrefix(g.body, "GET ") {
		t.Errorf("an answer of 404 = %d %q, want it as it is", g.status, g.body)
	}
	records := n.requests(3)
	if records[0].Function != "shop" || records[0].Route != "r" || records[0].Status != 200 || records[0].Instance != s.URL || records[2].Outcome != function.Failed || records[0].Version != 0 || records[2].Version != 0 {
		t.Errorf("records = %+v, want three with the server as instance, and no version", records)
	}
}

func TestAnUpstreamStreamsBothWays(t *testing.T) {
	n := withUpstreams(t, says(""), func(o *Options) { o.Limits.Request = 1 << 10 })
	goOn := make(chan struct{})
	s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/x/events":
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-goOn
			fmt.Fprint(w, "data: 2\n\n")
			w.Header().Set("X-Sum", "3")
		case "/x/up":
			k, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, k, err)
		case "/x/short":
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, strings.Repeat("x", 90000))
		case "/x/echo":
			nc, buf, _ := http.NewResponseController(w).Hijack()
			defer nc.Close()
			fmt.Fprint(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := buf.ReadString('\n')
			fmt.Fprint(nc, line)
		}
	})
	n.deploy("shop", answeredBy("/x/{rest...}", s.URL))

	resp, err := http.Get(n.url + "/x/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); line != "data: 1\n" {
		t.Fatalf("the first piece = %q, %v, want it ahead of the end", line, err)
	}
	close(goOn)
	if rest, err := io.ReadAll(in); err != nil || !strings.HasSuffix(string(rest), "data: 2\n\n") || resp.Trailer.Get("X-Sum") != "3" {
		t.Errorf("the rest = %q, %v, trailer %v", rest, err, resp.Trailer)
	}

	if g := n.send("PUT", "/x/up", strings.Repeat("x", 1<<20)); g.status != 200 || g.body != "1048576 <nil>" {
		t.Errorf("a long body = %d %q", g.status, g.body)
	}
	if resp, err := http.Get(n.url + "/x/short"); err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Error("an answer that breaks off reached its end, want it cut")
		}
	}

	nc, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, "GET /x/echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	br := bufio.NewReader(nc)
	up, err := http.ReadResponse(br, nil)
	if err != nil || up.StatusCode != 101 || up.Header.Get("Upgrade") != "echo" {
		t.Fatalf("an upgrade = %v, %v", up, err)
	}
	if line, err := br.ReadString('\n'); line != "hello\n" {
		t.Errorf("through the tunnel came %q, %v", line, err)
	}
}

func TestAnUpstreamThatFails(t *testing.T) {
	n := withUpstreams(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "nobody" {
			return nil, fault.New(fault.NotFound, "there is no function nobody")
		}
		return says("the spare")(ctx, c)
	}))
	var calls atomic.Int64
	hangs := make(chan struct{})
	s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch r.URL.Path {
		case "/hang":
			<-hangs
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/odd":
			nc, _, _ := http.NewResponseController(w).Hijack()
			fmt.Fprint(nc, "what?\r\n\r\n")
			nc.Close()
		case "/bad":
			w.WriteHeader(503)
		case "/strange":
			w.WriteHeader(799)
		}
	})
	defer close(hangs)
	gone := answeredBy("/gone", nobodyAt(t))
	hang := answeredBy("/hang", s.URL)
	hang.Name, hang.Route.Timeout = "hang", &function.RouteTimeout{FirstByte: function.Duration(30 * time.Millisecond)}
	broken, odd := answeredBy("/broken", s.URL), answeredBy("/odd", s.URL)
	broken.Name, odd.Name = "broken", "odd"
	strange := answeredBy("/strange", s.URL)
	strange.Name = "strange"
	lone := answeredBy("/lone", nobodyAt(t))
	lone.Name, lone.Route.Fallback = "lone", &function.Fallback{Function: "nobody"}
	spare := answeredBy("/spare", nobodyAt(t))
	spare.Name, spare.Route.Fallback = "spare", &function.Fallback{Function: "other"}
	fuse := answeredBy("/bad", s.URL)
	fuse.Name, fuse.Route.Breaker = "fuse", &function.Breaker{Failures: 2, Window: function.Duration(time.Minute), Open: function.Duration(time.Minute), HalfOpen: 1}
	n.deploy("shop", gone, hang, broken, odd, strange, lone, spare, fuse)
	n.deploy("other")
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/gone", 502, "the upstream cannot be reached"},
		{"/hang", 504, "the upstream did not begin its answer in time: the route's timeout.firstByte is 30ms"},
		{"/strange", 502, "the upstream's answer cannot be passed on"},
		{"/broken", 502, "the upstream broke the connection off"},
		{"/odd", 502, "the upstream's answer cannot be passed on"},
		{"/spare", 200, "the spare"},
		{"/lone", 503, "the upstream has failed, and its fallback is not there"},
		{"/bad", 503, ""},
		{"/bad", 503, ""},
		{"/bad", 503, "the upstream has failed too often"},
	} {
		if g := n.send("POST", c.path, "x"); g.status != c.status || !strings.Contains(g.body, c.body) || strings.Contains(g.body, "127.0.0.1") {
			t.Errorf("POST %s = %d %s, want %d %s", c.path, g.status, g.body, c.status, c.body)
		}
	}
}

// TestABreakerIsOfWhoAnswers: that the function has failed says nothing of the servers that answer in its place from then on.
func TestABreakerIsOfWhoAnswers(t *testing.T) {
	n := withUpstreams(t, inTurn(gives(bad(500))))
	s := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
	fuse := function.Breaker{Failures: 1, Window: function.Duration(time.Minute), Open: function.Duration(time.Hour), HalfOpen: 1}
	before, now := route("r", "", "/x"), answeredBy("/x", s.URL)
	before.Route.Breaker, now.Route.Breaker = &fuse, &fuse
	n.deploy("shop", before)
	for _, want := range []string{"bad", "the function has failed too often"} {
		if g := n.send("GET", "/x", ""); g.status < 500 || !strings.Contains(g.body, want) {
			t.Errorf("answer = %d %s, want %s", g.status, g.body, want)
		}
	}
	n.deploy("shop", now)
	if g := n.send("GET", "/x", ""); g.status != 200 || g.body != "well" {
		t.Errorf("answer = %d %s, want the server's", g.status, g.body)
	}
}

// TestEachAttemptGoesToAnotherServer: of two servers one is well; a request that is tried again finds it.
func TestEachAttemptGoesToAnotherServer(t *testing.T) {
	n := withUpstreams(t, says(""))
	var bad, good atomic.Int64
	a := serverOf(t, func(w http.ResponseWriter, r *http.Request) { bad.Add(1); w.WriteHeader(502) })
	b := serverOf(t, func(w http.ResponseWriter, r *http.Request) { good.Add(1); fmt.Fprint(w, "well") })
	again := answeredBy("/x", a.URL, b.URL)
	again.Route.Retry = &function.RouteRetry{Attempts: 2, Budget: 100}
	n.deploy("shop", again)
	for range 10 {
		if g := n.send("GET", "/x", ""); g.status != 200 || g.body != "well" {
			t.Fatalf("answer = %d %q, want the other server's", g.status, g.body)
		}
	}
	if bad.Load() == 0 || good.Load() != 10 {
		t.Errorf("the servers had %d and %d requests, want some and 10", bad.Load(), good.Load())
	}
}
