package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// waitingDesk is a gateway with a history, and the part that dispatch would play.
type waitingDesk struct {
	*node
	history *history.History
	waits   chan struct{} // has a token for each who has begun to wait
}

// announced says when somebody begins to wait.
type announced struct {
	*history.History
	waits chan struct{}
}

func (a announced) Watch(id string) (<-chan struct{}, func()) {
	changed, stop := a.History.Watch(id)
	a.waits <- struct{}{}
	return changed, stop
}

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// startWaitingDesk deploys a function whose routes answer later: /orders always, /either when that is preferred.
func startWaitingDesk(t *testing.T, change ...func(*Options)) *waitingDesk {
	t.Helper()
	d := &waitingDesk{waits: make(chan struct{}, 1000)}
	var folding sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { // after the node's own end, which closes the log
		cancel()
		folding.Wait()
		if err := d.history.Close(); err != nil {
			t.Error(err)
		}
	})
	d.node = start(t, says("at once"), append(change, func(o *Options) {
		l := o.Log.(*sickLog).Log
		if err := l.CreateTopic(ctx, eventlog.Topic{Name: function.TopicRuns, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		var err error
		if d.history, err = history.Open(history.Options{Log: l, Dir: filepath.Join(t.TempDir(), "history")}); err != nil {
			t.Fatal(err)
		}
		folding.Go(func() { _ = d.history.Run(ctx) })
		o.Runs = announced{d.history, d.waits}
	})...)
	always, either := route("orders", "", "/orders/{id}"), route("either", "POST", "/either")
	always.Route.Async, either.Route.Async = function.LaterAlways, function.LaterPreferred
	d.deploy("shop", always, either)
	return d
}

// finish tells what came of a run.
func (d *waitingDesk) finish(location string, run function.Run) {
	d.t.Helper()
	name, ok := parseRunName(strings.TrimPrefix(location, runsPrefix))
	if !ok {
		d.t.Fatalf("%q is no place of a run", location)
	}
	run.ID, run.Function, run.Event = "run-of-"+name.id, "shop", name.ref()
	data, err := json.Marshal(run)
	if err != nil {
		d.t.Fatal(err)
	}
	typ := event.TypeRunFinished
	if run.State == function.RunRetrying {
		typ = event.TypeAttemptFailed
	}
	e := &event.Event{ID: event.NewID(), Source: "/test", Type: typ, Subject: run.ID, DataContentType: "application/json", Data: data}
	if _, err := d.log.Append(context.Background(), []eventlog.Record{eventlog.FromEvent(function.TopicRuns, e)}); err != nil {
		d.t.Fatal(err)
	}
	if err := d.history.CatchUp(context.Background()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *waitingDesk) ask(path, body string, header ...string) string {
	d.t.Helper()
	g := d.send("POST", path, body, header...)
	if g.status != 202 || g.header.Get("Retry-After") == "" {
		d.t.Fatalf("POST %s = %d %s, want 202", path, g.status, g.body)
	}
	return g.header.Get("Location")
}

func (g got) state(t testing.TB) (s runState) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.body), &s); err != nil {
		t.Fatalf("%q is not the state of a run: %v", g.body, err)
	}
	return s
}

func done(status int, header http.Header, body string) function.Run {
	return function.Run{
		State: function.RunSucceeded, Attempts: []function.Attempt{{Number: 1, Outcome: function.Succeeded}}, Finished: time.Now(),
		Answer: &function.Answer{Status: status, Header: header, Body: []byte(body), Size: int64(len(body))},
	}
}

func TestARequestIsKeptAndItsAnswerGivenLater(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/7?x=1&token=secret", `{"n":1}`, "Cookie", "session=secret", "X-Kept", "yes", "Dalamb-Auth-Id", "liar", "Connection", "X-Hop", "X-Hop", "gone")
	e := d.events(function.TopicInvoke)[0]
	var r function.InvokeRequest
	if err := json.Unmarshal(e.Data, &r); err != nil {
		t.Fatal(err)
	}
	if text := string(e.Data); strings.Contains(text, "secret") || strings.Contains(text, testToken) || strings.Contains(text, "liar") || strings.Contains(text, "gone") {
		t.Errorf("the log holds what it must not: %s", text)
	}
	if q := r.Request; e.Subject != "shop" || r.ID != e.ID || q.Params["id"] != "7" || string(q.Body) != `{"n":1}` || q.Header.Get("X-Kept") != "yes" || q.Target != "/orders/7?x=1&token=[redacted]" {
		t.Errorf("the request in the log = %s", e.Data)
	}
	if s := d.send("GET", at, "").state(t); s.State != runAccepted || s.ID == "" || s.Answer != nil {
		t.Errorf("state = %+v, want accepted", s)
	}
	if g := d.send("GET", at+"/answer", ""); g.status != 202 {
		t.Errorf("the answer before there is one = %d %s, want 202", g.status, g.body)
	}
	next := time.Now().Add(time.Hour).Truncate(time.Second)
	d.finish(at, function.Run{State: function.RunRetrying, Attempts: []function.Attempt{{Number: 1, Outcome: function.Failed, Next: next}}})
	if s := d.send("GET", at, "").state(t); s.State != runRetrying || s.Attempts != 1 || s.Next == nil || !s.Next.Equal(next) {
		t.Errorf("state = %+v, want retrying at %s", s, next)
	}
	d.finish(at, done(201, http.Header{"Content-Type": {"text/plain"}, "X-Own": {"o"}, "Dalamb-Run": {"forged"}}, "hello"))
	s := d.send("GET", at, "").state(t)
	if s.State != runSucceeded || s.Finished == nil || s.Answer == nil || *s.Answer != (runAnswer{201, "text/plain", 5, at + "/answer"}) || string(s.Result) != `"hello"` {
		t.Errorf("state = %+v %+v", s, s.Answer)
	}
	g := d.send("GET", at+"/answer", "")
	if g.status != 201 || g.body != "hello" || g.header.Get("X-Own") != "o" || g.header.Get("Dalamb-Run") != "" || g.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answer = %d %q %v", g.status, g.body, g.header)
	}
	if g := d.send("HEAD", at+"/answer", ""); g.status != 201 || g.body != "" {
		t.Errorf("HEAD = %d %q, want 201 and no body", g.status, g.body)
	}
}

func TestAnAnswerMayBePreferredLater(t *testing.T) {
	d := startWaitingDesk(t)
	if g := d.send("POST", "/either", ""); g.status != 200 || g.body != "at once" {
		t.Errorf("without Prefer = %d %q, want the function's answer", g.status, g.body)
	}
	for _, prefer := range []string{"respond-async", "return=minimal, Respond-Async ; x=1"} {
		if g := d.send("POST", "/either", "", "Prefer", prefer); g.status != 202 || g.header.Get("Preference-Applied") != "respond-async" {
			t.Errorf("Prefer: %s = %d %v, want 202", prefer, g.status, g.header)
		}
	}
}

func TestStatesOfRuns(t *testing.T) {
	d := startWaitingDesk(t)
	over := func(state function.RunState, outcome function.Outcome, reason string) function.Run {
		return function.Run{State: state, Reason: reason, Attempts: []function.Attempt{{Number: 1, Outcome: outcome, Failure: &function.Failure{Message: "in /srv/secret.py"}}}}
	}
	cut := done(200, http.Header{}, "")
	cut.Answer.Size = function.MaxAnswerKept + 1
	binary := done(200, nil, "\xff\x00")
	broken := over(function.RunDead, function.Failed, "used up")
	broken.Answer = &function.Answer{Status: 503, Header: http.Header{"X-Own": {"o"}}, Body: []byte("down"), Size: 4}
	for name, c := range map[string]struct {
		run    function.Run
		state  string
		status int
		says   string
	}{
		"failed":      {over(function.RunDead, function.Crashed, "used up"), runFailed, 502, "ended before it answered"},
		"timed out":   {over(function.RunDead, function.TimedOut, "used up"), runFailed, 504, "took too long"},
		"said 503":    {broken, runFailed, 503, "down"},
		"cancelled":   {over(function.RunDiscarded, function.Crashed, function.ReasonCancelled), runCancelled, 409, "it is cancelled"},
		"too old":     {over(function.RunDiscarded, function.Failed, "older than maxAge"), runExpired, 409, "it is expired"},
		"taken":       {over(function.RunExpired, "", "retention"), runExpired, 409, "it is expired"},
		"giant":       {cut, runSucceeded, 502, "was not kept"},
		"not a text":  {binary, runSucceeded, 200, "\xff\x00"},
		"interim 100": {done(100, http.Header{}, ""), runSucceeded, 502, "cannot be passed on"},
	} {
		at := d.ask("/orders/1", "")
		d.finish(at, c.run)
		state, answer := d.send("GET", at, ""), d.send("GET", at+"/answer", "")
		if s := state.state(t); s.State != c.state || answer.status != c.status || !strings.Contains(answer.body, c.says) {
			t.Errorf("%s: state %s, answer %d %q; want %s, %d, %q", name, s.State, answer.status, answer.body, c.state, c.status, c.says)
		}
		if strings.Contains(state.body+answer.body, "secret.py") {
			t.Errorf("%s: the client is told of the function's files: %s %s", name, state.body, answer.body)
		}
	}
}

func TestWhoDidNotSendARequestLearnsNothing(t *testing.T) {
	bob := base64.StdEncoding.EncodeToString([]byte("bob:b"))
	alice := base64.StdEncoding.EncodeToString([]byte("alice:a"))
	d := startWaitingDesk(t, hold(map[string]string{"users": "alice:" + bcryptOf(t, "a") + "\nbob:" + bcryptOf(t, "b")}, time.Now))
	d.deploySecrets("users")
	private := guarded(&function.Auth{Basic: &function.BasicAuth{Users: "users"}}, nil)
	private.Route.Async = function.LaterAlways
	d.deploy("vault", private)
	at := d.ask("/x", "", "Authorization", "Basic "+alice)
	name := strings.TrimPrefix(at, runsPrefix)
	call := &event.Event{ID: event.NewID(), Source: "/dalamb/invoke", Type: event.TypeInvokeRequested, Subject: "vault", DataContentType: "application/json", Data: []byte(`{"function":"vault","payload":{}}`)}
	stored, err := d.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicInvoke, call)})
	if err != nil {
		t.Fatal(err)
	}
	byAPI := runName{call.ID, stored[0].Partition, stored[0].Offset}.String()
	for _, c := range []struct {
		path, auth string
		want       int
	}{
		{at, "", 401},
		{at, "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:b")), 401},
		{at, "Bearer " + testToken, 401},
		{at, "Basic " + bob, 404},
		{at + "/answer", "Basic " + bob, 404},
		{at + "/else", "Basic " + alice, 404},
		{runsPrefix + event.NewID() + name[36:], "Basic " + alice, 404},
		{runsPrefix + name[:36] + ".0.1", "Basic " + alice, 404},
		{runsPrefix + name[:36] + ".9.0", "Basic " + alice, 404},
		{runsPrefix + name[:36] + ".0.999999999999999999", "Basic " + alice, 404},
		{runsPrefix + name[:36] + ".00.0", "Basic " + alice, 404},
		{runsPrefix + name[:36], "Basic " + alice, 404},
		{runsPrefix + "%2e%2e", "Basic " + alice, 404},
		{runsPrefix, "Basic " + alice, 404},
		{runsPrefix + byAPI, "", 404},
		{at, "Basic " + alice, 200},
	} {
		if g := d.send("GET", c.path, "", "Authorization", c.auth); g.status != c.want {
			t.Errorf("GET %s as %q = %d %s, want %d", c.path, c.auth, g.status, g.body, c.want)
		}
	}
	if g := d.send("DELETE", at, "", "Authorization", "Basic "+bob); g.status != 404 || len(d.events(function.TopicRuns)) != 0 {
		t.Errorf("DELETE by somebody else = %d, want 404 and nothing in the log", g.status)
	}
}

func TestWhoWaitsIsToldWhenItIsOver(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/1", "")
	const many = 50
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() {
			if s := d.send("GET", at+"?wait=50s", "").state(t); s.State != runSucceeded {
				t.Errorf("state after the wait = %s, want succeeded", s.State)
			}
		})
	}
	clients.Go(func() {
		if g := d.send("GET", at+"/answer", "", "Prefer", "wait=50"); g.status != 200 || g.body != "x" {
			t.Errorf("answer after the wait = %d %q", g.status, g.body)
		}
	})
	for range many + 1 {
		<-d.waits
	}
	d.finish(at, done(200, nil, "x"))
	clients.Wait()
	if n := d.waiters.now.Load(); n != 0 {
		t.Errorf("%d wait still", n)
	}
}

func TestWaitersAreBoundedAndEndWithTheNode(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/1", "")
	d.waiters.now.Store(maxWaiters)
	if s := d.send("GET", at+"?wait=50s", "").state(t); s.State != runAccepted {
		t.Errorf("state = %s, want accepted, at once", s.State)
	}
	if g := d.send("GET", at, "", "Accept", "text/event-stream"); g.status != 503 {
		t.Errorf("a stream too many = %d, want 503", g.status)
	}
	d.waiters.now.Store(0)
	var client sync.WaitGroup
	client.Go(func() {
		if s := d.send("GET", at+"?wait=50s", "").state(t); s.State != runAccepted {
			t.Errorf("state at the end of the node = %s, want accepted", s.State)
		}
	})
	<-d.waits
	d.EndWaits()
	client.Wait()
}

func TestAStreamTellsEachState(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/1", "")
	req, err := http.NewRequestWithContext(t.Context(), "GET", d.url+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return got{body: text}.state(t).State
			}
		}
		return "end"
	}
	if s := next(); s != runAccepted {
		t.Errorf("first state = %s", s)
	}
	d.finish(at, function.Run{State: function.RunRetrying, Attempts: []function.Attempt{{Number: 1}}})
	if s := next(); s != runRetrying {
		t.Errorf("second state = %s", s)
	}
	d.finish(at, done(200, nil, "x"))
	if s := next(); s != runSucceeded {
		t.Errorf("third state = %s", s)
	}
	if s := next(); s != "end" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("after the last state: %s, %v", s, resp.Header)
	}
}

func TestARunIsCancelledOnce(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/1", "")
	d.EndWaits() // nobody runs it here, so that the wait for its end would be in vain
	for range 2 {
		if g := d.send("DELETE", at, ""); g.status != 202 {
			t.Fatalf("DELETE = %d %s, want 202", g.status, g.body)
		}
		if err := d.history.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if es := d.events(function.TopicRuns); len(es) != 1 || es[0].Type != event.TypeRunCancelled || at != runsPrefix+es[0].Subject+at[len(runsPrefix)+36:] {
		t.Errorf("in the log: %v, want one cancellation of the request", es)
	}
	if s := d.send("GET", at, "").state(t); s.State != runCancelling {
		t.Errorf("state = %s, want cancelling", s.State)
	}
	d.finish(at, done(200, nil, "x"))
	if g := d.send("DELETE", at, ""); g.status != 409 || !strings.Contains(g.body, "it succeeded") {
		t.Errorf("DELETE of what is over = %d %s, want 409", g.status, g.body)
	}
	if g := d.send("PUT", at, ""); g.status != 405 || g.header.Get("Allow") != "GET, HEAD, DELETE" {
		t.Errorf("PUT = %d %v, want 405", g.status, g.header)
	}
}

func TestARequestThatTheLogCannotKeepIsRefused(t *testing.T) {
	d := startWaitingDesk(t, func(o *Options) { o.Limits.Event = 4 << 10 })
	if g := d.send("POST", "/orders/1", strings.Repeat("x", 4<<10)); g.status != 413 {
		t.Errorf("a request that is too large = %d %s, want 413", g.status, g.body)
	}
	d.log.fail(fmt.Errorf("disk gone"))
	if g := d.send("POST", "/orders/1", "x"); g.status != 500 || g.header.Get("Location") != "" {
		t.Errorf("a request that is not kept = %d %v, want 500 and no place", g.status, g.header)
	}
}

func TestPagesOfOtherOriginsMayAskForTheirRuns(t *testing.T) {
	d := startWaitingDesk(t)
	r := route("r", "POST", "/page")
	r.Route.Async, r.Route.CORS = function.LaterAlways, &function.CORS{Origins: []string{"https://shop.example"}}
	d.deploy("page", r)
	at := d.ask("/page", "", "Origin", "https://shop.example")
	if g := d.send("GET", at, "", "Origin", "https://shop.example"); g.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("the page may not read the state: %v", g.header)
	}
	if g := d.send("OPTIONS", at, "", "Origin", "https://shop.example", "Access-Control-Request-Method", "DELETE"); g.status != 204 || g.header.Get("Access-Control-Allow-Methods") != "DELETE" {
		t.Errorf("preflight = %d %v, want that DELETE is allowed", g.status, g.header)
	}
}

func FuzzRunName(f *testing.F) {
	for _, s := range []string{"01936f1e-9f1c-7a30-8f14-2c7e5f0c9a00.3.1042", "01936f1e-9f1c-7a30-8f14-2c7e5f0c9a00.0.0", "x.0.0", "", "01936f1e-9f1c-7a30-8f14-2c7e5f0c9a00.999999999.999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseRunName(s)
		if ok && (n.String() != s || n.partition < 0 || n.offset < 0) {
			t.Errorf("parseRunName(%q) = %v, which is written %q", s, n, n)
		}
	})
}

func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"respond-async, wait=10", `wait="5"`, "wait=99999999999", "wait=-1", "RESPOND-ASYNC;x=y", ",,=", "wait=3, wait=4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := preferencesOf(http.Header{"Prefer": {s}})
		if p.wait < 0 || p.wait > maxWait {
			t.Errorf("Prefer: %q waits for %s", s, p.wait)
		}
		if again := preferencesOf(http.Header{"Prefer": {p.applied()}}); again != p {
			t.Errorf("Prefer: %q is %+v, what was applied %+v", s, p, again)
		}
	})
}

func TestARequestSaysWhomToTell(t *testing.T) {
	d := startWaitingDesk(t)
	d.deploySecrets("key")
	own, given := route("own", "", "/own"), route("given", "", "/given")
	own.Route.Async, own.Route.Callback = function.LaterAlways, &function.RouteCallback{URL: "https://shop.example/done", Secret: "key"}
	given.Route.Async, given.Route.Callback = function.LaterAlways, &function.RouteCallback{Header: "X-Callback", Secret: "key"}
	d.deploy("teller", own, given)
	for _, c := range []struct{ path, says, want string }{
		{"/own", "https://liar.example/", "https://shop.example/done"},
		{"/given", "http://client.example:8080/done?for=me", "http://client.example:8080/done?for=me"},
		{"/given", "", ""},
	} {
		d.ask(c.path, "", "X-Callback", c.says)
		all := d.events(function.TopicInvoke)
		var r function.InvokeRequest
		if err := json.Unmarshal(all[len(all)-1].Data, &r); err != nil {
			t.Fatal(err)
		}
		told := function.Callback{}
		if r.Request.Callback != nil {
			told = *r.Request.Callback
		}
		if told.URL != c.want || c.want != "" && (told.Secret != "key" || told.Function != "teller") {
			t.Errorf("%s with %q is told to %+v, want %q", c.path, c.says, told, c.want)
		}
	}
	for _, bad := range []string{"nowhere", "ftp://x.example/", "http://", "https://user:pw@x.example/", "http://x.example/#f", "http://0.0.0.0/", "http://[ff02::1]/", "https://x.example/" + strings.Repeat("x", 2048)} {
		if g := d.send("POST", "/given", "", "X-Callback", bad); g.status != 400 || !strings.Contains(g.body, "X-Callback") {
			t.Errorf("a callback to %q = %d %s, want 400", bad, g.status, g.body)
		}
	}
}

func TestWhatIsToldIsTheState(t *testing.T) {
	d := startWaitingDesk(t)
	at := d.ask("/orders/1", "")
	d.finish(at, done(200, nil, `{"n":1}`))
	text, err := d.StateOf(t.Context(), strings.TrimPrefix(at, runsPrefix))
	if want := strings.TrimSpace(d.send("GET", at, "").body); err != nil || string(text) != want {
		t.Errorf("StateOf = %s, %v, want %s", text, err, want)
	}
	if _, err := d.StateOf(t.Context(), "nothing"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("StateOf of nothing = %v, want NotFound", err)
	}
}

// TestABodyThatAuthHasReadIsHeldOnce: a signature is checked over the body that a late answer's request keeps.
func TestABodyThatAuthHasReadIsHeldOnce(t *testing.T) {
	n := start(t, says("x"))
	r := httptest.NewRequest("POST", "/x", strings.NewReader("the body"))
	x, c := &exchange{ResponseWriter: httptest.NewRecorder()}, &Call{Request: r}
	free, err := n.gather(x, c)
	once := n.held.used.Load()
	again, err2 := n.gather(x, c)
	if twice := n.held.used.Load(); err != nil || err2 != nil || once == 0 || twice != once || string(c.Body) != "the body" {
		t.Errorf("held %d bytes, then %d of %q, %v, %v; want the same", once, twice, c.Body, err, err2)
	}
	again()
	free()
}
