package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// flow is a fleet whose functions answer piece by piece: run gets the writer, and says what came of it.
func flow(head function.Head, run func(w io.Writer, gone <-chan struct{}) (*function.Result, error)) script {
	return func(_ context.Context, c fleet.Call) (*function.Result, error) {
		to := c.Invocation.Responder
		if to == nil {
			return nil, errors.New("the call takes no stream")
		}
		w, err := to.Respond(head)
		if err != nil {
			return nil, err
		}
		return run(w, to.Gone())
	}
}

func begun(kind string) function.Head {
	return function.Head{Status: 200, Length: -1, Header: http.Header{"Content-Type": {kind}}}
}

func whole(n int) *function.Result {
	return &function.Result{Outcome: function.Succeeded, Status: 200, Streamed: int64(n), Version: 1}
}

func TestAnAnswerReachesTheClientAsItComes(t *testing.T) {
	more := make(chan struct{})
	head := begun("text/event-stream")
	head.Trailer = []string{"Dalamb-Run", "X-Sum"}
	head.Header["Dalamb-Run"], head.Header["Content-Length"] = []string{"forged"}, []string{"3"}
	n := start(t, flow(head, func(w io.Writer, _ <-chan struct{}) (*function.Result, error) {
		for _, text := range []string{"data: one\n\n", "data: two\n\n"} {
			if _, err := io.WriteString(w, text); err != nil {
				return nil, err
			}
			<-more
		}
		r := whole(22)
		r.Trailer = http.Header{"X-Sum": {"42"}, "X-Late": {"1"}, "Connection": {"close"}, "Dalamb-Run": {"forged"}}
		return r, nil
	}))
	n.deploy("feed", route("web", "GET", "/feed"))
	resp, err := http.Get(n.url + "/feed")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	id := resp.Header.Get("Dalamb-Run")
	if resp.ContentLength != -1 || resp.Header.Get("Content-Type") != "text/event-stream" || len(id) != 36 {
		t.Errorf("header = %v", resp.Header)
	}
	br := bufio.NewReader(resp.Body)
	for _, want := range []string{"data: one\n", "data: two\n"} {
		if line, err := br.ReadString('\n'); err != nil || line != want {
			t.Fatalf("line = %q, %v, want %q before the function has ended", line, err, want)
		}
		_, _ = br.ReadString('\n')
		more <- struct{}{}
	}
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("rest = %q, %v", rest, err)
	}
	if resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-Late") != "1" || resp.Trailer["Connection"] != nil || resp.Trailer["Dalamb-Run"] != nil {
		t.Errorf("trailer = %v", resp.Trailer)
	}
	q := n.requests(1)[0]
	if q.ID != id || q.AnswerSize != 22 || string(q.Answer) != "data: one\n\ndata: two\n\n" || q.Abandoned || q.Status != 200 {
		t.Errorf("record = %+v", q)
	}
	if n.metric("dalamb_gateway_streams_total") != 1 {
		t.Error("the stream was not counted")
	}
}

func TestTheRecordHasTheBeginningOfAStream(t *testing.T) {
	const size = 3 << 20
	head := begun("text/plain")
	head.Length = size
	n := start(t, flow(head, func(w io.Writer, _ <-chan struct{}) (*function.Result, error) {
		for range size / (32 << 10) {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return nil, err
			}
		}
		return whole(size), nil
	}))
	if g := n.send("GET", "/_/fn/big", ""); len(g.body) != size || g.header.Get("Content-Length") != "3145728" {
		t.Errorf("answer of %d bytes, header %v", len(g.body), g.header)
	}
	if q := n.requests(1)[0]; len(q.Answer) != keptBody || q.AnswerSize != size {
		t.Errorf("record has %d bytes of %d, want %d of %d", len(q.Answer), q.AnswerSize, keptBody, size)
	}
}

func TestAStreamThatBreaksOffIsNotWholeForTheClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		res     *function.Result
		err     error
		outcome function.Outcome
	}{
		{"the function ends", &function.Result{Outcome: function.Crashed, Status: 200, Streamed: 4, Failure: &function.Failure{Message: "ended"}}, nil, function.Crashed},
		{"its time is up", &function.Result{Outcome: function.TimedOut, Status: 200, Streamed: 4, Failure: &function.Failure{Message: "late"}}, nil, function.TimedOut},
		{"the node stops", nil, fault.New(fault.Unavailable, "stopped"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := start(t, flow(begun("text/plain"), func(w io.Writer, _ <-chan struct{}) (*function.Result, error) {
				_, err := io.WriteString(w, "half")
				return c.res, errors.Join(err, c.err)
			}))
			n.deploy("feed", route("web", "GET", "/feed"))
			resp, err := http.Get(n.url + "/feed")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err == nil || string(b) != "half" {
				t.Errorf("body = %q, %v, want a part and an error", b, err)
			}
			if c.err != nil {
				return
			}
			if q := n.requests(1)[0]; q.Outcome != c.outcome || q.AnswerSize != 4 || string(q.Answer) != "half" {
				t.Errorf("record = %+v", q)
			}
		})
	}
}

func TestAClientThatGoesAwayIsNoticed(t *testing.T) {
	n := start(t, flow(begun("text/plain"), func(w io.Writer, gone <-chan struct{}) (*function.Result, error) {
		_, _ = io.WriteString(w, "here")
		<-gone
		r := whole(4)
		r.Abandoned = true
		return r, nil
	}))
	n.deploy("feed", route("web", "GET", "/feed"))
	resp, err := http.Get(n.url + "/feed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if q := n.requests(1)[0]; !q.Abandoned || q.Outcome != function.Succeeded {
		t.Errorf("record = %+v, want an abandoned answer", q)
	}
}

func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	n := start(t, flow(begun("text/plain"), func(w io.Writer, _ <-chan struct{}) (*function.Result, error) {
		for sent := 0; ; sent += 32 << 10 {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				r := whole(sent)
				r.Abandoned = true
				return r, nil
			}
		}
	}), func(o *Options) { o.BodyTimeout = 50 * time.Millisecond })
	n.deploy("feed", route("web", "GET", "/feed"))
	nc, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if q := n.requests(1)[0]; !q.Abandoned {
		t.Errorf("record = %+v, want an abandoned answer", q)
	}
}

// What has to be in the log before its answer is collected.
func TestCallsThatLeaveSomethingInTheLogAreNotStreamed(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Responder != nil {
			return nil, errors.New("the call takes a stream")
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte("ok"), Version: 1}, nil
	}))
	durable, emitting := route("d", "GET", "/durable"), route("e", "GET", "/emitting")
	durable.Route.Durable, emitting.Emit = true, &function.Emit{Topic: "orders"}
	n.deploy("pay", durable, emitting)
	for _, path := range []string{"/durable", "/emitting"} {
		if g := n.send("GET", path, ""); g.status != 200 || g.body != "ok" {
			t.Errorf("GET %s = %d %s", path, g.status, g.body)
		}
	}
	a, err := n.Caller().Do(t.Context(), Call{Function: "pay", Request: httptest.NewRequest("POST", "/", http.NoBody), Payload: []byte("{}")})
	if err != nil || string(a.Result.Body) != "ok" {
		t.Errorf("Do = %+v, %v", a, err)
	}
}

func TestAClientsConnectionBecomesATunnel(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		h := c.Invocation.Request.Header
		if h.Get("Upgrade") == "" {
			return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{}, Body: []byte("plain"), Version: 1}, nil
		}
		nc, err := c.Invocation.Responder.(function.Upgrader).Upgrade(http.Header{"Upgrade": h["Upgrade"], "Connection": {"Upgrade"}, "X-Mine": {"1"}, "Keep-Alive": {"5"}})
		if err != nil {
			return nil, err
		}
		defer nc.Close()
		n, err := io.Copy(nc, nc)
		return &function.Result{Outcome: function.Succeeded, Status: 101, Streamed: n, Version: 1}, err
	}))
	web := route("web", "GET", "/chat")
	n.deploy("chat", web)
	t.Run("bare", func(t *testing.T) { chats(t, n) })
	allPolicies(web.Route)
	n.deploy("chat", web)
	t.Run("with all policies", func(t *testing.T) { chats(t, n) })
	for _, header := range []string{"Connection", "Upgrade"} { // one without the other asks for nothing
		if g := n.send("GET", "/_/fn/chat", "", header, "echo"); g.status != 200 || g.body != "plain" {
			t.Errorf("with %s alone: %d %q", header, g.status, g.body)
		}
	}
	tunnels := 0
	for _, q := range n.requests(4) {
		if q.Status == 101 && q.AnswerSize == 10 && q.Outcome == function.Succeeded {
			tunnels++
		}
	}
	if tunnels != 2 {
		t.Errorf("%d tunnels are in the record, want 2", tunnels)
	}
}

// chats opens a tunnel to an echo, and speaks.
func chats(t *testing.T, n *node) {
	t.Helper()
	nc, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	// The first bytes of the tunnel come with the request's head.
	if _, err := io.WriteString(nc, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nearly "); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" || resp.Header.Get("X-Mine") != "1" || len(resp.Header.Get("Dalamb-Run")) != 36 {
		t.Fatalf("answer = %+v, %v", resp, err)
	}
	if len(resp.Header.Get(requestIDHeader)) == 0 {
		t.Errorf("header = %v, want the request's id in it", resp.Header)
	}
	if resp.Header["Keep-Alive"] != nil || resp.Header["Content-Length"] != nil {
		t.Errorf("header = %v", resp.Header)
	}
	if _, err := io.WriteString(nc, "late"); err != nil {
		t.Fatal(err)
	}
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(br); err != nil || string(b) != "early late" {
		t.Errorf("tunnel gave %q, %v", b, err)
	}
}

// To announce a trailer takes the field of that name out of the header.
func TestNoTrailerTakesTheNodesWordsOutOfTheHeader(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		names := []string{"X-Request-Id", "Dalamb-Run", "Access-Control-Allow-Origin", "X-Mine", "X-Sum", "X_sum"}
		w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Length: -1, Header: http.Header{"X-Mine": {"header"}}, Trailer: names})
		if err == nil {
			_, err = io.WriteString(w, "text")
		}
		all := http.Header{"X-Late": {"late"}}
		for _, name := range names {
			all[name] = []string{"trailer"}
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Streamed: 4, Trailer: all}, err
	}))
	web := route("r", "GET", "/x")
	web.Route.CORS = &function.CORS{Origins: []string{"https://page.example"}}
	n.deploy("f", web)
	req, err := http.NewRequest("GET", n.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://page.example")
	req.Header.Set("X-Request-Id", "one-1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	h := resp.Header
	if h.Get("X-Request-Id") != "one-1" || len(h.Get("Dalamb-Run")) != 36 || h.Get("Access-Control-Allow-Origin") != "https://page.example" || h.Get("X-Mine") != "header" {
		t.Errorf("header = %v, want what the node and the function say there", h)
	}
	if want := (http.Header{"X-Sum": {"trailer"}, "X_sum": {"trailer"}, "X-Late": {"late"}}); !reflect.DeepEqual(resp.Trailer, want) {
		t.Errorf("trailers = %v, want %v", resp.Trailer, want)
	}
}

func TestInterimAnswersOfAFunction(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		to := c.Invocation.Responder.(function.Informer)
		to.Inform(103, http.Header{"Link": {"</a.css>"}, "Dalamb-Run": {"forged"}, "Connection": {"X-Hop"}, "X-Hop": {"1"}, "Content-Length": {"7"}})
		to.Inform(102, http.Header{})
		r := c.Invocation.Request
		body, err := io.ReadAll(r.Body)
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"X-Sum": r.Trailer["X-Sum"]}, Body: body, Version: 1}, err
	}))
	n.deploy("page", route("web", "POST", "/page"))
	const body = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n"
	const plain = "Connection: close\r\nContent-Length: 2\r\n\r\nok"
	for _, c := range []struct{ name, request, interim, sum string }{
		{"1.1", "POST /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + body, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", "42"},
		{"1.0 knows none", "POST /page HTTP/1.0\r\nHost: x\r\n" + plain, "", ""},
		{
			"asks to go on", "POST /page HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + plain,
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.WriteString(nc, c.request); err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(nc)
			if err != nil {
				t.Fatal(err)
			}
			final, ok := strings.CutPrefix(string(all), c.interim)
			if !ok {
				t.Fatalf("answer = %q, want first %q", all, c.interim)
			}
			resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(final)), nil)
			if err != nil || resp.StatusCode != 200 || resp.ContentLength != 2 || resp.Header["Link"] != nil || len(resp.Header.Get("Dalamb-Run")) != 36 || resp.Header.Get("X-Sum") != c.sum {
				t.Errorf("final answer = %q, %v", final, err)
			}
		})
	}
}
