package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// mirror is a fleet whose functions answer with what they were given.
func mirror(_ context.Context, c fleet.Call) (*function.Result, error) {
	r := c.Invocation.Request
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s|%s|%s %s %s|%d %s|", c.Function, c.Alias, r.Method, r.URL.RequestURI(), r.RequestURI, r.ContentLength, body)
	for _, name := range []string{"id", "rest"} {
		if v := r.PathValue(name); v != "" {
			text += name + "=" + v
		}
	}
	h := http.Header{"Content-Type": {"text/plain"}}
	for name, v := range r.Header {
		h["X-Got-"+name] = v
	}
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: h, Body: []byte(text), Version: 3, Instance: "i-1", Cold: true}, nil
}

func TestCallByNamePassesOn(t *testing.T) {
	n := start(t, script(mirror))
	tests := []struct {
		name, method, path, body string
		header                   []string
		want                     string
	}{
		{"bare", "GET", "/_/fn/pay", "", nil, "pay||GET / /|0 |"},
		{"with a path and a query", "POST", "/_/fn/pay/a/b?x=1&y=%20", "hello", nil, "pay||POST /a/b?x=1&y=%20 /a/b?x=1&y=%20|5 hello|"},
		{"encoded path", "GET", "/_/fn/pay/a%2Fb/%20c", "", nil, "pay||GET /a%2Fb/%20c /a%2Fb/%20c|0 |"},
		{"path that a client did not clean", "DELETE", "/_/fn/pay//a/../b", "", nil, "pay||DELETE //a/../b //a/../b|0 |"},
		{"alias", "PUT", "/_/fn/pay/", "z", []string{"Dalamb-Alias", "canary"}, "pay|canary|PUT / /|1 z|"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := n.send(tt.method, tt.path, tt.body, append(tt.header, "X-Mine", "kept")...)
			if g.status != 200 || g.body != tt.want {
				t.Errorf("answer = %d %q, want 200 %q", g.status, g.body, tt.want)
			}
			if g.header.Get("X-Got-X-Mine") != "kept" {
				t.Errorf("header X-Mine did not reach the function: %v", g.header)
			}
			if v := g.header.Get("X-Got-Authorization"); v != "" {
				t.Errorf("the function was given the node's token")
			}
			if g.header.Get("X-Got-Dalamb-Alias") != "" {
				t.Errorf("the function was given the gateway's own header")
			}
			if len(g.header.Get("Dalamb-Run")) != 36 {
				t.Errorf("Dalamb-Run = %q, want the call's id", g.header.Get("Dalamb-Run"))
			}
		})
	}
}

func TestCallByNameRefuses(t *testing.T) {
	called := false
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		called = true
		return nil, errors.New("no")
	}))
	tests := []struct {
		path   string
		header []string
		status int
	}{
		{"/_/fn/pay", []string{"Authorization", ""}, 401},
		{"/_/fn/pay", []string{"Authorization", "Bearer x"}, 401},
		{"/_/fn/", nil, 400},
		{"/_/fn//x", nil, 400},
	}
	for _, tt := range tests {
		g := n.send("POST", tt.path, "x", tt.header...)
		if g.fault(t); g.status != tt.status {
			t.Errorf("POST %s = %d %s, want %d", tt.path, g.status, g.body, tt.status)
		}
	}
	if called {
		t.Error("a refused call reached the fleet")
	}
}

// Why the node cannot start a function names its keys and files: an open route does not say it.
func TestWhyAFunctionCannotStartIsForWhoHasTheToken(t *testing.T) {
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return nil, &fleet.StartError{Err: fault.New(fault.Unavailable, "secret %q has another key", "pw").WithHint("copy the key file to /var/lib/dalamb")}
	}))
	n.deploy("pay", route("web", "POST", "/pay"))
	for _, c := range []struct {
		path, message string
		hint          bool
	}{
		{"/pay", "the function could not start", false},
		{"/_/fn/pay", `secret "pw" has another key`, true},
	} {
		g := n.send("POST", c.path, "")
		if f := g.fault(t); g.status != 503 || f.Message != c.message || strings.Contains(g.body, "/var") != c.hint {
			t.Errorf("POST %s: %d %s, want 503 %q", c.path, g.status, g.body, c.message)
		}
	}
}

func TestInvocationOfARoute(t *testing.T) {
	var seen *function.Invocation
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		seen = c.Invocation
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the wait for an instance has no bound")
		}
		return mirror(ctx, c)
	}))
	n.deploy("pay", route("web", "POST", "/pay/{id}/{rest...}"))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	g := n.send("POST", "/pay/42/a/b?x=1", "hi", "Traceparent", parent, "Authorization", "")
	if want := "pay||POST /pay/42/a/b?x=1 /pay/42/a/b?x=1|2 hi|id=42rest=a/b"; g.status != 200 || g.body != want {
		t.Errorf("answer = %d %q, want 200 %q", g.status, g.body, want)
	}
	if seen.ID != g.header.Get("Dalamb-Run") || seen.Run != seen.ID || seen.Attempt != 1 || seen.Trigger != "web" || seen.TraceParent != parent || seen.Event != nil || seen.Payload != nil {
		t.Errorf("invocation = %+v, want one attempt of trigger web in the client's trace", seen)
	}
	n.send("POST", "/pay/42/x", "", "Traceparent", "00-zero", "Authorization", "")
	if !validTraceParent(seen.TraceParent) {
		t.Errorf("trace = %q, want a new one in place of what is no trace", seen.TraceParent)
	}
}

// Functions are not trusted with the node: its own token, which could do everything, reaches neither them nor the record.
func TestRouteDoesNotPassOnTheNodesToken(t *testing.T) {
	for _, c := range []struct{ sent, want []string }{
		{[]string{"Bearer " + testToken}, nil},
		{[]string{"bearer   " + testToken + " "}, nil},
		{[]string{"Bearer mine"}, []string{"Bearer mine"}},
		{[]string{"Basic " + testToken}, []string{"Basic " + testToken}},
		{[]string{"Bearer mine", "Bearer " + testToken}, []string{"Bearer mine"}},
	} {
		var seen []string
		n := start(t, script(func(ctx context.Context, call fleet.Call) (*function.Result, error) {
			seen = call.Invocation.Request.Header.Values("Authorization")
			return says("ok")(ctx, call)
		}))
		n.deploy("pay", route("web", "POST", "/pay"))
		req, err := http.NewRequest("POST", n.url+"/pay", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Authorization"] = c.sent
		if g := n.do(req); g.status != 200 || !slices.Equal(seen, c.want) {
			t.Errorf("Authorization %q: answer %d, the function saw %q, want %q", c.sent, g.status, seen, c.want)
		}
		if _, kept := n.requests(1)[0].Header["Authorization"]; kept != (c.want != nil) {
			t.Errorf("Authorization %q is in the record: %v", c.sent, kept)
		}
	}
}

func TestAnswers(t *testing.T) {
	ok := func(r function.Result) function.Result {
		r.Outcome = function.Succeeded
		return r
	}
	tests := []struct {
		name, method string
		result       function.Result
		err          error
		status       int
		body         string // exact, of the route's answer; "{" = an error in JSON
		header       map[string]string
	}{
		{"text", "GET", ok(function.Result{Status: 201, Header: http.Header{"X-A": {"1", "2"}}, Body: []byte("made")}), nil, 201, "made", map[string]string{"X-A": "1", "Content-Type": "", "Content-Length": "4"}},
		{"no status", "GET", ok(function.Result{Body: []byte(`{"a":1}`)}), nil, 200, `{"a":1}`, map[string]string{"Content-Type": "application/json"}},
		{"bytes without a type", "GET", ok(function.Result{Body: []byte("\xff\xfe")}), nil, 200, "\xff\xfe", map[string]string{"Content-Type": "application/octet-stream"}},
		{"text without a type", "GET", ok(function.Result{Body: []byte("<html>")}), nil, 200, "<html>", map[string]string{"Content-Type": "text/plain; charset=utf-8"}},
		{"length that is a lie", "GET", ok(function.Result{Status: 200, Header: http.Header{"Content-Length": {"99"}}, Body: []byte("abc")}), nil, 200, "abc", map[string]string{"Content-Length": "3"}},
		{"HEAD keeps its length", "HEAD", ok(function.Result{Status: 200, Header: http.Header{"Content-Length": {"99"}}}), nil, 200, "", map[string]string{"Content-Length": "99"}},
		{"HEAD with a length that is none", "HEAD", ok(function.Result{Status: 200, Header: http.Header{"Content-Length": {"-1"}}}), nil, 200, "", map[string]string{"Content-Length": ""}},
		{"no content", "GET", ok(function.Result{Status: 204, Header: http.Header{"Content-Length": {"3"}}, Body: []byte("abc")}), nil, 204, "", map[string]string{"Content-Length": ""}},
		{"not modified", "GET", ok(function.Result{Status: 304, Header: http.Header{"Etag": {`"a"`}}}), nil, 304, "", map[string]string{"Etag": `"a"`}},
		{"hop by hop", "GET", ok(function.Result{Status: 200, Header: http.Header{"Connection": {"close, X-Secret"}, "X-Secret": {"s"}, "Keep-Alive": {"x"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "X-B": {"b"}}, Body: []byte("x")}), nil, 200, "x", map[string]string{"X-Secret": "", "Keep-Alive": "", "Upgrade": "", "X-B": "b", "Connection": ""}},
		{"the run's name is dalamb's", "GET", ok(function.Result{Status: 200, Header: http.Header{"Dalamb-Run": {"forged"}}}), nil, 200, "", map[string]string{}},
		{"interim status", "GET", ok(function.Result{Status: 101}), nil, 502, "{", nil},
		{"status that is none", "GET", ok(function.Result{Status: 1000}), nil, 502, "{", nil},
		{"the function's own 404", "GET", function.Result{Outcome: function.Failed, Status: 404, Header: http.Header{"Content-Type": {"text/x"}}, Body: []byte("no such order"), Failure: &function.Failure{Message: "404"}}, nil, 404, "no such order", map[string]string{"Content-Type": "text/x"}},
		{"the function's own 500", "GET", function.Result{Outcome: function.Failed, Status: 500, Header: http.Header{}, Body: []byte("oops"), Failure: &function.Failure{Message: "500"}}, nil, 500, "oops", nil},
		{"error posted", "GET", function.Result{Outcome: function.Failed, Status: 502, Failure: &function.Failure{Type: "E", Message: "secret detail", Trace: json.RawMessage(`["/var/task/x.py"]`)}}, nil, 502, "{", nil},
		{"timeout", "GET", function.Result{Outcome: function.TimedOut, Status: 504, Failure: &function.Failure{Message: "secret detail"}}, nil, 504, "{", nil},
		{"crash", "GET", function.Result{Outcome: function.Crashed, Failure: &function.Failure{Message: "secret detail"}}, nil, 502, "{", nil},
		{"out of memory", "GET", function.Result{Outcome: function.OOM, Failure: &function.Failure{Message: "secret detail"}}, nil, 502, "{", nil},
		{"no start", "GET", function.Result{Outcome: function.InitError, Failure: &function.Failure{Message: "secret detail"}}, nil, 502, "{", nil},
		{"bad answer", "GET", function.Result{Outcome: function.BadAnswer, Failure: &function.Failure{Message: "secret detail"}}, nil, 502, "{", nil},
		{"node is full", "GET", function.Result{}, fault.New(fault.Exhausted, "no instance in time"), 503, "{", map[string]string{"Retry-After": "1"}},
		{"the function's own bound", "GET", function.Result{}, fault.New(fault.Exhausted, "no instance in time: %w", fleet.ErrOwnBound), 429, "{", map[string]string{"Retry-After": "1"}},
		{"node is stopping", "GET", function.Result{}, fault.New(fault.Unavailable, "the node is stopping"), 503, "{", map[string]string{"Retry-After": "1"}},
		{"gone in between", "GET", function.Result{}, fault.Missing("function", "f", nil), 404, "{", nil},
		{"dalamb's fault", "GET", function.Result{}, errors.New("secret detail"), 500, "{", nil},
	}
	var result *function.Result
	var failed error
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) { return result, failed }))
	n.deploy("f", route("all", "", "/"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result, failed = &tt.result, tt.err
			g := n.send(tt.method, "/", "", "Authorization", "")
			if g.status != tt.status {
				t.Fatalf("answer = %d %q, want %d", g.status, g.body, tt.status)
			}
			if tt.body == "{" {
				g.fault(t)
				if strings.Contains(g.body, "secret") || strings.Contains(g.body, "/var/task") {
					t.Errorf("open route tells %s", g.body)
				}
			} else if g.body != tt.body {
				t.Errorf("body = %q, want %q", g.body, tt.body)
			}
			for name, want := range tt.header {
				if got := g.header.Get(name); got != want {
					t.Errorf("header %s = %q, want %q", name, got, want)
				}
			}
			if len(g.header.Get("Dalamb-Run")) != 36 {
				t.Errorf("Dalamb-Run = %q, want the call's id", g.header.Get("Dalamb-Run"))
			}
			if f := tt.result.Failure; f != nil && !answered(&tt.result) {
				g := n.send(tt.method, "/_/fn/f", "")
				var told function.Failure
				if err := json.Unmarshal([]byte(g.body), &told); err != nil || g.status != tt.status || !reflect.DeepEqual(told, *f) {
					t.Errorf("who has the token is told %d %s, want %d and the function's own error", g.status, g.body, tt.status)
				}
			}
		})
	}
}

func TestRecordOfACall(t *testing.T) {
	n := start(t, script(mirror), func(o *Options) { o.Redact = []string{"x-session"} })
	n.deploy("pay", route("web", "POST", "/pay/{id}"))
	long := strings.Repeat("x", keptBody+10)
	g := n.send("POST", "/pay/42?a=1&access_token=geheim&b=%20&X-Amz-Signature=geheim&toke%6E=geheim", long,
		"Authorization", "Bearer geheim", "Cookie", "a=geheim", "X-Api-Key", "geheim", "X-Session", "geheim", "Proxy-Authorization", "geheim", "X-Open", "offen")
	if g.status != 200 {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	q := n.requests(1)[0]
	if q.ID != g.header.Get("Dalamb-Run") || q.Function != "pay" || q.Version != 3 || q.Route != "web" || q.Method != "POST" ||
		q.Status != 200 || q.Outcome != function.Succeeded || q.Instance != "i-1" || !q.Cold || q.Remote == "" || q.Start.IsZero() || q.Duration <= 0 {
		t.Errorf("record = %+v, want all of the call", q)
	}
	if want := "/pay/42?a=1&access_token=[redacted]&b=%20&X-Amz-Signature=[redacted]&toke%6E=[redacted]"; q.Path != want {
		t.Errorf("path = %q, want %q", q.Path, want)
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Session"} {
		if v := q.Header[name]; !slices.Equal(v, []string{redactedValue}) {
			t.Errorf("header %s = %q, want it redacted", name, v)
		}
	}
	if v := q.Header["X-Open"]; !slices.Equal(v, []string{"offen"}) {
		t.Errorf("header X-Open = %q, want it kept", v)
	}
	if q.BodySize != int64(len(long)) || string(q.Body) != long[:keptBody] {
		t.Errorf("body = %d bytes of %d, want the first %d of %d", len(q.Body), q.BodySize, keptBody, len(long))
	}
	if q.AnswerSize != int64(len(g.body)) || string(q.Answer) != g.body[:keptBody] {
		t.Errorf("answer = %d bytes of %d, want the first %d of %d", len(q.Answer), q.AnswerSize, keptBody, len(g.body))
	}
	for _, r := range n.records(function.TopicRequests) {
		if strings.Contains(string(r.Value), "geheim") {
			t.Errorf("the log holds a secret: %s", r.Value[:200])
		}
	}
}

func TestRecordOfATraceThatIsNoJSON(t *testing.T) {
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Failed, Status: 502, Failure: &function.Failure{Type: "E", Message: "m", Trace: json.RawMessage("at line 1")}}, nil
	}))
	if g := n.send("GET", "/_/fn/f", ""); g.status != 502 || g.body != `{"errorType":"E","errorMessage":"m"}`+"\n" {
		t.Errorf("answer = %d %s, want the error without its trace", g.status, g.body)
	}
	if q := n.requests(1)[0]; q.Failure == nil || q.Failure.Message != "m" || q.Failure.Trace != nil {
		t.Errorf("record's failure = %+v, want it without its trace", q.Failure)
	}
}

func FuzzRedactPath(f *testing.F) {
	r := newRedactor(nil)
	f.Add("/a", "x=1&TOKEN=geheim")
	f.Add("/a b", "token=geheim;access_token=geheim&&=")
	f.Add("", "tok%65n=geheim&%zz=geheim")
	f.Fuzz(func(t *testing.T, path, query string) {
		got := r.path(&url.URL{Path: path, RawQuery: query})
		_, kept, has := strings.Cut(got, "?")
		if has != (query != "") {
			t.Fatalf("path(%q, %q) = %q: the query is lost or made up", path, query, got)
		}
		split := func(c rune) bool { return c == '&' || c == ';' }
		for _, pair := range strings.FieldsFunc(kept, split) {
			name, value, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(name); (err != nil || secretParameter(plain)) && value != "" && value != redactedValue {
				t.Fatalf("path(%q, %q) = %q keeps the value of %q", path, query, got, name)
			}
		}
		if a, b := len(strings.FieldsFunc(query, split)), len(strings.FieldsFunc(kept, split)); a != b {
			t.Fatalf("path(%q, %q) = %q has %d parameters, want %d", path, query, got, b, a)
		}
	})
}

func TestRecordOfACallByName(t *testing.T) {
	n := start(t, script(mirror))
	n.send("GET", "/_/fn/pay/x?y=1", "")
	if q := n.requests(1)[0]; q.Path != "/_/fn/pay/x?y=1" || q.Route != "" || q.Function != "pay" {
		t.Errorf("record = %+v, want the path that the client wrote, and no route", q)
	}
}

func TestRecordWithoutBodiesWhileRoomIsShort(t *testing.T) {
	n := start(t, script(mirror))
	n.log.space.Store(uint32(eventlog.SpaceLow))
	n.send("POST", "/_/fn/pay", "hello")
	if q := n.requests(1)[0]; q.Body != nil || q.Answer != nil || q.BodySize != 5 || q.AnswerSize == 0 {
		t.Errorf("record = %+v, want sizes and no bodies", q)
	}
}

func TestCallsGoOnWhileTheLogFails(t *testing.T) {
	n := start(t, says("fine"))
	n.log.fail(fault.New(fault.Unavailable, "the disk is full"))
	for range 5 {
		if g := n.send("GET", "/_/fn/pay", ""); g.status != 200 || g.body != "fine" {
			t.Fatalf("answer = %d %s, want 200 fine", g.status, g.body)
		}
	}
	n.stop() // all that waited has been tried
	if got := n.metric("dalamb_gateway_records_dropped_total"); got != 5 {
		t.Errorf("dropped records = %v, want 5", got)
	}
	if c := strings.Count(n.said.String(), "calls go on without a record"); c != 1 {
		t.Errorf("the log says so %d times, want once for all:\n%s", c, n.said)
	}
}

func TestDurableRoute(t *testing.T) {
	called := 0
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		called++
		return mirror(ctx, c)
	}))
	r := route("web", "POST", "/pay")
	r.Route.Durable = true
	n.deploy("pay", r)
	g := n.send("POST", "/pay", "x", "Authorization", "")
	if g.status != 200 {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	if es := n.events(function.TopicRequests); len(es) != 1 || es[0].ID != g.header.Get("Dalamb-Run") {
		t.Errorf("record at the answer = %v, want the call", es)
	}
	n.log.fail(fault.New(fault.Unavailable, "the disk failed"))
	g = n.send("POST", "/pay", "x", "Authorization", "")
	if f := g.fault(t); g.status != 503 || g.header.Get("Retry-After") == "" || !strings.Contains(f.Message, "the disk failed") || !strings.Contains(f.Hint, "has run") {
		t.Errorf("answer = %d %+v, want 503 that says the function has run", g.status, f)
	}
	n.log.heal()
	n.log.space.Store(uint32(eventlog.SpaceEmpty))
	before := called
	if g = n.send("POST", "/pay", "x", "Authorization", ""); g.status != 503 || called != before {
		t.Errorf("without room: answer = %d, function called %d times, want 503 and not called", g.status, called-before)
	}
}

// returns is a fleet whose functions answer with events.
func returns(es ...*event.Event) script {
	return func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`"sent"`), Events: es, Version: 1}, nil
	}
}

func emitting(topic string) function.Trigger {
	r := route("web", "POST", "/order")
	r.Emit = &function.Emit{Topic: topic}
	return r
}

func TestRouteEmits(t *testing.T) {
	first := &event.Event{ID: "mine", Source: "/functions/shop", Type: "order.placed", Subject: "42", DataContentType: "application/json", Data: []byte(`{}`)}
	second := &event.Event{Source: "/functions/shop", Type: "order.counted", Extensions: map[string]any{event.ExtTraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	n := start(t, returns(first, second))
	n.deploy("shop", emitting("orders"))
	appends := n.log.calls.Load()
	g := n.send("POST", "/order", "", "Authorization", "")
	if g.status != 200 || g.body != `"sent"` {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	if got := n.log.calls.Load() - appends; got != 1 {
		t.Errorf("%d appends, want one for the request and its events", got)
	}
	run := g.header.Get("Dalamb-Run")
	es := n.events("orders")
	if len(es) != 2 {
		t.Fatalf("topic orders holds %d events, want 2", len(es))
	}
	for i, e := range es {
		if want := fmt.Sprintf("%s.%d", run, i); e.ID != want {
			t.Errorf("event %d: id = %q, want %q", i, e.ID, want)
		}
		if e.Extension(event.ExtCausationID) != run || e.Extension(event.ExtCorrelationID) != run || e.Hops() != 1 || !validTraceParent(e.Extension(event.ExtTraceParent)) || e.Time.IsZero() {
			t.Errorf("event %d = %+v, want it caused by %s at one hop", i, e, run)
		}
	}
	if es[0].Extension(event.ExtOriginID) != "mine" || es[0].Type != "order.placed" || string(es[0].Data) != "{}" {
		t.Errorf("first event = %+v, want the function's, its id kept as originid", es[0])
	}
	if es[1].Extension(event.ExtOriginID) != "" || es[1].Extension(event.ExtTraceParent) != second.Extension(event.ExtTraceParent) {
		t.Errorf("second event = %+v, want no originid and its own trace", es[1])
	}
	if len(first.Extensions) != 0 || first.ID != "mine" {
		t.Errorf("the result's own event was changed: %+v", first)
	}
	q := n.requests(1)[0]
	if want := []function.Emitted{{Topic: "orders", ID: run + ".0", Type: "order.placed"}, {Topic: "orders", ID: run + ".1", Type: "order.counted"}}; !reflect.DeepEqual(q.Emitted, want) {
		t.Errorf("record's emitted = %+v, want %+v", q.Emitted, want)
	}
}

func TestRouteWithoutEmitKeepsEventsAsAnswer(t *testing.T) {
	n := start(t, returns(&event.Event{ID: "1", Source: "/s", Type: "order.placed"}))
	n.deploy("shop", route("web", "POST", "/order"))
	for _, path := range []string{"/order", "/_/fn/shop"} {
		if g := n.send("POST", path, ""); g.status != 200 || g.body != `"sent"` {
			t.Errorf("POST %s = %d %s, want the answer", path, g.status, g.body)
		}
	}
	n.requests(2)
	if es := n.events("events"); len(es) != 0 {
		t.Errorf("topic events holds %d events, want none", len(es))
	}
}

func TestRouteMayNotEmitEverything(t *testing.T) {
	good := &event.Event{Source: "/s", Type: "order.placed"}
	tests := []struct {
		name, topic string
		event       *event.Event
		want        string
	}{
		{"reserved type", "orders", &event.Event{Source: "/s", Type: "dalamb.function.removed.v1"}, "dalamb.function.removed.v1"},
		{"system topic", "_dalamb.control", good, "_dalamb.control"},
		{"unknown topic", "gone", good, "gone"},
		{"too large", "orders", &event.Event{Source: "/s", Type: "t", Data: []byte(strings.Repeat("x", 2<<20)), DataContentType: "text/plain"}, "limit of 1048576 bytes"},
		{"not an event", "orders", &event.Event{Source: "a b", Type: "t"}, "source"},
	}
	for _, tt := range tests {
		for _, durable := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, durable), func(t *testing.T) {
				n := start(t, returns(good, tt.event))
				r := emitting(tt.topic)
				r.Route.Durable = durable
				n.deploy("shop", r)
				g := n.send("POST", "/order", "", "Authorization", "")
				if f := g.fault(t); g.status != 502 || !strings.Contains(f.Message, tt.want) {
					t.Errorf("answer = %d %+v, want 502 and %q", g.status, f, tt.want)
				}
				q := n.requests(1)[0]
				if q.Outcome != function.BadAnswer || q.Status != 502 || q.Failure == nil || !strings.Contains(q.Failure.Message, tt.want) || q.Emitted != nil {
					t.Errorf("record = %+v, want the failure with its reason", q)
				}
				for _, topic := range []string{"orders", "events"} {
					if rs := n.records(topic); len(rs) != 0 {
						t.Errorf("topic %s holds %d records, want none of the answer's events", topic, len(rs))
					}
				}
			})
		}
	}
}

func TestEffectIsNotAcknowledgedWhenTheLogFails(t *testing.T) {
	n := start(t, returns(&event.Event{Source: "/s", Type: "order.placed"}))
	n.deploy("shop", emitting("orders"))
	n.log.fail(fault.New(fault.Unavailable, "the disk failed"))
	if g := n.send("POST", "/order", "", "Authorization", ""); g.status != 503 {
		t.Errorf("answer = %d %s, want 503", g.status, g.body)
	}
	if got := n.metric("dalamb_gateway_effects_refused_total"); got != 1 {
		t.Errorf("refused effects = %v, want 1", got)
	}
}

// TestEffectOutlivesTheClient: what a function did stands in the log, whether somebody waits for the answer or not.
func TestEffectOutlivesTheClient(t *testing.T) {
	running, gone := make(chan struct{}), make(chan struct{})
	inner := returns(&event.Event{Source: "/s", Type: "order.placed"})
	n := start(t, script(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		close(running)
		<-gone
		<-ctx.Done()
		return inner(ctx, c)
	}))
	n.deploy("shop", emitting("orders"))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", n.url+"/order", nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	<-running
	cancel()
	if err := <-done; err == nil {
		t.Fatal("the client got an answer")
	}
	close(gone)
	n.requests(1)
	if es := n.events("orders"); len(es) != 1 {
		t.Errorf("topic orders holds %d events, want 1", len(es))
	}
}

func TestInvokeByPayload(t *testing.T) {
	var seen *function.Invocation
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		seen = c.Invocation
		return &function.Result{Outcome: function.Failed, Status: 502, Body: []byte(`{"errorMessage":"m"}`), Failure: &function.Failure{Type: "E", Message: "m"}}, nil
	}))
	req, err := http.NewRequest("POST", "/2015-03-31/functions/pay/invocations", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.Caller().Do(t.Context(), Call{Function: "pay", Version: 2, Request: req, Payload: []byte(`{"a":1}`), ClientContext: "e30="})
	if err != nil || a.Result.Outcome != function.Failed || a.ID == "" {
		t.Fatalf("Do = %+v, %v, want the function's failure as a result", a, err)
	}
	if string(seen.Payload) != `{"a":1}` || seen.Request != nil || seen.ClientContext != "e30=" || seen.ID != a.ID {
		t.Errorf("invocation = %+v, want the payload alone", seen)
	}
	if q := n.requests(1)[0]; string(q.Body) != `{"a":1}` || q.Failure == nil || q.Failure.Type != "E" || q.Path != "/2015-03-31/functions/pay/invocations" {
		t.Errorf("record = %+v, want the payload and the failure", q)
	}
}

func TestRecordsThatWaitAreBounded(t *testing.T) {
	n := start(t, says("fine"))
	n.stop() // nobody writes records any more
	req, err := http.NewRequest("POST", "/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, keptBody)
	const calls = maxWaitingBytes/keptBody + 100
	for range calls {
		if _, err := n.Caller().Do(t.Context(), Call{Function: "f", Request: req, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.caller.recorder.bytes.Load(); got > maxWaitingBytes {
		t.Errorf("%d bytes wait, want at most %d", got, maxWaitingBytes)
	}
	waiting := len(n.caller.recorder.queue)
	if dropped := n.metric("dalamb_gateway_records_dropped_total"); int(dropped)+waiting != calls || dropped == 0 {
		t.Errorf("%d wait and %v are counted as dropped, want %d together", waiting, dropped, calls)
	}
}

func TestTraceParents(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
	for s, want := range map[string]bool{
		"00-" + id + "-01": true, "00-" + id + "-00": true, "cc-" + id + "-01-what-the-future-brings": true,
		"00-" + id + "-01-more": false, "ff-" + id + "-01": false, "00-" + strings.ToUpper(id) + "-01": false, "": false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": false, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
		"cc-" + id + "-01-a b": false, "00-" + id + "-0": false, "00_" + id + "-01": false,
	} {
		if got := validTraceParent(s); got != want {
			t.Errorf("validTraceParent(%q) = %v, want %v", s, got, want)
		}
	}
	if a, b := traceParent(nil), traceParent(nil); !validTraceParent(a) || a == b {
		t.Errorf("new traces = %q, %q, want two valid ones", a, b)
	}
}

func TestHealth(t *testing.T) {
	var state map[string]error
	n := start(t, says(""), func(o *Options) {
		o.Health = func(ctx context.Context) map[string]error {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) > healthTimeout {
				t.Error("health is asked without a bound")
			}
			return state
		}
	})
	state = map[string]error{"log": nil, "catalog": nil}
	g := n.send("GET", "/_/health", "", "Authorization", "")
	if want := `{"status":"ok","checks":{"catalog":"ok","log":"ok"}}` + "\n"; g.status != 200 || g.body != want || g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answer = %d %s, want 200 %s", g.status, g.body, want)
	}
	state = map[string]error{"log": errors.New("fsync /secret/db: input/output error"), "catalog": nil}
	g = n.send("GET", "/_/health", "", "Authorization", "")
	if want := `{"status":"failing","checks":{"catalog":"ok","log":"failing"}}` + "\n"; g.status != 503 || g.body != want {
		t.Errorf("answer = %d %s, want 503 %s", g.status, g.body, want)
	}
	if !strings.Contains(n.said.String(), "/secret/db") {
		t.Errorf("node's log = %q, want the reason", n.said)
	}
	if g := n.send("GET", "/_/health/ready", "", "Authorization", ""); g.status != 503 {
		t.Errorf("ready = %d %s, want 503", g.status, g.body)
	}
	if g := n.send("GET", "/_/health/live", "", "Authorization", ""); g.status != 200 || g.body != `{"status":"ok"}`+"\n" {
		t.Errorf("live = %d %s, want 200", g.status, g.body)
	}
	if g := n.send("GET", "/_/health/liv", "", "Authorization", ""); g.status != 404 || !strings.Contains(g.body, "/_/health/live") {
		t.Errorf("unknown path = %d %s, want 404 and those that there are", g.status, g.body)
	}
	if g := n.send("POST", "/_/health", ""); g.status != 405 || g.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d %v, want 405", g.status, g.header)
	}
}
