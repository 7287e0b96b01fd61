package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestTimesThatAreOver(t *testing.T) {
	for name, c := range map[string]struct {
		timeout function.RouteTimeout
		word    string
	}{
		"first byte": {function.RouteTimeout{FirstByte: 20e6}, "timeout.firstByte is 20ms"},
		"total":      {function.RouteTimeout{Total: 20e6}, "timeout.total is 20ms"},
		"both":       {function.RouteTimeout{FirstByte: 20e6, Total: 60e9}, "timeout.firstByte is 20ms"},
	} {
		t.Run(name, func(t *testing.T) {
			until := make(chan struct{})
			n := start(t, inTurn(hangs(until, ok("late"))))
			n.deploy("f", enduring("", func(r *function.Route) { r.Timeout = &c.timeout }))
			g := n.send("POST", "/x", "hello")
			if g.status != 504 || !strings.Contains(g.fault(t).Message, c.word) || g.header.Get(runHeader) == "" {
				t.Errorf("answer = %d %s %v, want 504 and which time is over", g.status, g.body, g.header)
			}
			close(until)
			if q := n.requests(1)[0]; q.ID != g.header.Get(runHeader) || q.Status != 200 || string(q.Body) != "hello" {
				t.Errorf("the record says %+v, want what the function did in the end", q)
			}
			n.background.Wait()
			n.holdsNothing(t)
		})
	}
}

// TestAnOfferOfHTTP2SwitchesNoTimeOff: curl --http2 makes one with each request without TLS, and means a plain request.
func TestAnOfferOfHTTP2SwitchesNoTimeOff(t *testing.T) {
	until, saw := make(chan struct{}), make(chan http.Header, 1)
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		saw <- c.Invocation.Request.Header
		<-until
		return ok("late"), nil
	}))
	late := time.AfterFunc(5*time.Second, func() { close(until) }) // who waits for it has no bound
	defer func() {
		if late.Stop() {
			close(until)
		}
	}()
	n.deploy("f", enduring("GET", func(r *function.Route) { r.Timeout = &function.RouteTimeout{Total: 20e6} }))
	for _, offer := range []string{"h2c", "H2C, HTTP/3.0", "TLS/1.2, HTTP/1.1"} {
		text := "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + offer + "\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
		if g := n.raw(t, text); g.status != 504 {
			t.Errorf("with the offer %s: %d %s, want 504", offer, g.status, g.body)
		}
		if h := <-saw; h["Upgrade"] != nil || h["Connection"] != nil || h["Http2-Settings"] != nil {
			t.Errorf("with the offer %s the function saw %v, want nothing of it", offer, h)
		}
	}
}

func TestNoInstanceInTime(t *testing.T) {
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		<-ctx.Done()
		return nil, fault.New(fault.Exhausted, "no instance was free in time: %w", ctx.Err())
	}))
	n.deploy("f", enduring("GET", func(r *function.Route) { r.Timeout = &function.RouteTimeout{Connect: 10e6} }))
	if g := n.send("GET", "/x", ""); g.status != 504 || !strings.Contains(g.fault(t).Message, "timeout.connect is 10ms") {
		t.Errorf("answer = %d %s, want 504 and what is over", g.status, g.body)
	}
}

func TestTheNodesOwnTimeIsNotTheRoutes(t *testing.T) {
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		<-ctx.Done()
		return nil, fault.New(fault.Exhausted, "no instance was free in time: %w", ctx.Err())
	}), func(o *Options) { o.QueueTimeout = 10 * time.Millisecond })
	n.deploy("f", enduring("GET", func(r *function.Route) { r.Timeout = &function.RouteTimeout{Connect: 60e9} }))
	if g := n.send("GET", "/x", ""); g.status != 503 || strings.Contains(g.body, "timeout.connect") {
		t.Errorf("answer = %d %s, want the node's own", g.status, g.body)
	}
}

func TestAnAnswerThatIsNotWholeInTimeIsBrokenOff(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Length: -1})
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, "the beginning"); err != nil {
			return nil, err
		}
		<-c.Invocation.Responder.Gone()
		_, err = io.WriteString(w, "the end")
		return &function.Result{Outcome: function.Succeeded, Status: 200, Streamed: 13, Abandoned: err != nil}, nil
	}))
	n.deploy("f", enduring("GET", func(r *function.Route) { r.Timeout = &function.RouteTimeout{FirstByte: 30e9, Total: 50e6} }))
	resp, body, err := ask(t, n.url+"/x")
	if err == nil || resp == nil || resp.StatusCode != 200 || body != "the beginning" {
		t.Errorf("the answer is %v %q, %v; want one that is cut off", resp, body, err)
	}
	if q := n.requests(1)[0]; !q.Abandoned {
		t.Errorf("the record says %+v, want that nobody had all of it", q)
	}
}

func TestATimeThatIsOverIsTriedAgain(t *testing.T) {
	until := make(chan struct{})
	defer close(until)
	n := start(t, inTurn(hangs(until, ok("late")), gives(ok("soon"))))
	n.deploy("f", enduring("GET", func(r *function.Route) {
		retry(function.RouteRetry{})(r)
		r.Timeout = &function.RouteTimeout{FirstByte: 20e6, Total: 60e9}
	}))
	if g := n.send("GET", "/x", ""); g.status != 200 || g.body != "soon" {
		t.Errorf("answer = %d %s, want the second attempt's", g.status, g.body)
	}
}

func TestTheTotalHoldsForAllAttempts(t *testing.T) {
	f := inTurn(gives(bad(503)))
	n := start(t, f)
	n.deploy("f", enduring("GET", func(r *function.Route) {
		retry(function.RouteRetry{Attempts: 10, Backoff: function.Duration(5 * time.Second)})(r)
		r.Timeout = &function.RouteTimeout{Total: 100e6}
	}))
	if g := n.send("GET", "/x", ""); g.status != 504 || !strings.Contains(g.body, "timeout.total") {
		t.Errorf("answer = %d %s, want 504 though the attempts are not over", g.status, g.body)
	}
	n.background.Wait()
	if calls := f.calls.Load(); calls > 3 {
		t.Errorf("%d attempts were made for a client that had its answer", calls)
	}
}

func TestATimeThatIsOverWhileTheBodyComes(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for name, timeout := range map[string]function.RouteTimeout{"first byte": {FirstByte: 50e6}, "total": {Total: 50e6}} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				n := start(t, taking(parrot))
				n.deploy("f", enduring("POST", func(r *function.Route) { r.Timeout = &timeout }))
				client := &http.Client{Transport: &http.Transport{}}
				if protocol == "HTTP/2.0" {
					client, _ = http2(t)
				}
				in, give := io.Pipe()
				defer give.Close()
				go io.WriteString(give, "the beginning")
				req, err := http.NewRequest("POST", n.url+"/x", in)
				if err != nil {
					t.Fatal(err)
				}
				if g := n.doWith(client, req); g.status != 504 || g.fault(t).Kind != fault.Timeout.String() {
					t.Errorf("answer = %d %s, want 504", g.status, g.body)
				}
				n.background.Wait()                                             // the function was told that nothing more comes
				if g := n.send("POST", "/x", "a second one"); g.status != 500 { // whole, which a parrot does not take
					t.Errorf("the next answer = %d %s", g.status, g.body)
				}
				n.holdsNothing(t)
			})
		}
	}
}

// slowBody takes its time to come.
type slowBody struct {
	io.ReadCloser
	takes time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.takes)
	return b.ReadCloser.Read(p)
}

func TestTheFirstByteIsAwaitedOnceTheBodyIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		patience patience
		late     bool
	}{
		"first byte": {patience{firstByte: 100 * time.Millisecond}, false},
		"total":      {patience{total: 100 * time.Millisecond}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, says("x"))
			synctest.Test(t, func(t *testing.T) {
				g := &Gateway{limits: n.limits, held: budget{most: 1 << 20}, metrics: n.Gateway.metrics}
				c.patience.g = g
				r := httptest.NewRequest("POST", "/x", strings.NewReader("a body"))
				r.Body = &slowBody{r.Body, time.Second}
				err := c.patience.policy(&exchange{ResponseWriter: httptest.NewRecorder()}, &Call{Request: r}, func(x *exchange, _ *Call) error {
					time.Sleep(50 * time.Millisecond)
					x.WriteHeader(200)
					return nil
				})
				if (err != nil) != c.late {
					t.Errorf("the answer to a body that took a second = %v", err)
				}
				g.background.Wait()
			})
		})
	}
}

// upgrading is a fleet whose functions take an upgrade up as soon as the test lets them, and then say what they hear.
func upgrading(take <-chan struct{}, refused chan<- error) taking {
	return func(_ context.Context, c fleet.Call) (*function.Result, error) {
		<-take
		nc, err := c.Invocation.Responder.(function.Upgrader).Upgrade(http.Header{"Upgrade": c.Invocation.Request.Header["Upgrade"]})
		res := &function.Result{Outcome: function.Succeeded, Status: http.StatusSwitchingProtocols, Abandoned: err != nil}
		if err != nil {
			refused <- err
			return res, nil
		}
		defer nc.Close()
		res.Streamed, _ = io.Copy(nc, nc)
		return res, nil
	}
}

// TestAnUpgradeIsAwaitedLikeAnyAnswer: to ask for one switches no time off.
func TestAnUpgradeIsAwaitedLikeAnyAnswer(t *testing.T) {
	for name, timeout := range map[string]function.RouteTimeout{"first byte": {FirstByte: 30e6}, "total": {Total: 30e6}} {
		t.Run(name, func(t *testing.T) {
			take, refused := make(chan struct{}), make(chan error, 2) // each attempt is refused
			n := start(t, upgrading(take, refused))
			n.deploy("f", enduring("GET", func(r *function.Route) {
				r.Timeout = &timeout
				r.Retry = &function.RouteRetry{Attempts: 2, Budget: 100}
			}))
			late := time.AfterFunc(10*time.Second, func() { close(take) })
			g := n.raw(t, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if g.status != 504 || !strings.Contains(g.body, "is 30ms") {
				t.Errorf("answer = %d %s, want 504 and which time is over", g.status, g.body)
			}
			if !late.Stop() {
				t.Fatal("the answer came with the function's")
			}
			close(take)
			if err := <-refused; err == nil {
				t.Error("the function was given a connection that is the next request's")
			}
		})
	}
}

func TestNoTimeBoundsAConnectionThatWasTakenUp(t *testing.T) {
	take := make(chan struct{})
	close(take)
	n := start(t, upgrading(take, nil))
	n.deploy("f", enduring("GET", func(r *function.Route) {
		r.Timeout = &function.RouteTimeout{FirstByte: 100e6, Total: 150e6}
		r.Retry = &function.RouteRetry{Attempts: 2, Budget: 100} // the total is that of all attempts then
		r.Breaker = &function.Breaker{Failures: 1, Window: 1e9, Open: 60e9, HalfOpen: 1}
	}))
	nc, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second)) // a failure of this is one of what follows
	if _, err := io.WriteString(nc, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the answer is %v, %v", resp, err)
	}
	for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; {
		if _, err := io.WriteString(nc, "ping\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := r.ReadString('\n'); err != nil || line != "ping\n" {
			t.Fatalf("after %s: %q, %v", time.Since(begin), line, err)
		}
	}
	nc.Close()
	if q := n.requests(1)[0]; q.Status != http.StatusSwitchingProtocols || q.Abandoned || q.ID != resp.Header.Get(runHeader) {
		t.Errorf("the record says %+v", q)
	}
	n.background.Wait()
	if n.metric("dalamb_gateway_timeouts_total") != 0 || n.metric("dalamb_gateway_breaker_changes_total") != 0 {
		t.Error("a time was over, or the breaker took it for a failure")
	}
}
