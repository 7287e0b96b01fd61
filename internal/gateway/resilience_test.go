package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// enduring is a route with some of the settings of this file.
func enduring(method string, change func(*function.Route)) function.Trigger {
	t := route("r", method, "/x")
	change(t.Route)
	return t
}

func ok(body string) *function.Result {
	return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(body), Version: 1}
}

func bad(status int) *function.Result {
	return &function.Result{Outcome: function.Failed, Status: status, Header: http.Header{"X-Function": {"bad"}}, Body: []byte("bad"), Version: 1,
		Failure: &function.Failure{Message: "bad"}}
}

// turns is a fleet that does one thing after another, and the last one for ever.
type turns struct {
	calls atomic.Int64
	seen  chan fleet.Call
	do    []func(c fleet.Call) (*function.Result, error)
}

func inTurn(do ...func(c fleet.Call) (*function.Result, error)) *turns {
	return &turns{do: do, seen: make(chan fleet.Call, 1000)}
}

func (f *turns) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	i := min(f.calls.Add(1), int64(len(f.do))) - 1
	f.seen <- c
	return script(func(context.Context, fleet.Call) (*function.Result, error) { return f.do[i](c) }).Invoke(ctx, c)
}

func gives(r *function.Result) func(fleet.Call) (*function.Result, error) {
	return func(fleet.Call) (*function.Result, error) { return r, nil }
}

func refuses(err error) func(fleet.Call) (*function.Result, error) {
	return func(fleet.Call) (*function.Result, error) { return nil, err }
}

// hangs gives an answer when the test is over, or lets it.
func hangs(until <-chan struct{}, r *function.Result) func(fleet.Call) (*function.Result, error) {
	return func(fleet.Call) (*function.Result, error) {
		<-until
		return r, nil
	}
}

func retry(r function.RouteRetry) func(*function.Route) {
	return func(to *function.Route) {
		if r.Budget == 0 {
			r.Budget = 100
		}
		if r.Attempts == 0 {
			r.Attempts = 3
		}
		to.Retry = &r
	}
}

func TestARequestThatFailedIsTriedAgain(t *testing.T) {
	full := fault.New(fault.Exhausted, "no instance")
	for name, c := range map[string]struct {
		method, header string
		on             []function.RetryIf
		first          func(fleet.Call) (*function.Result, error)
		status         int
		attempts       int64
	}{
		"502":                         {"GET", "", nil, gives(bad(502)), 200, 2},
		"503":                         {"PUT", "", nil, gives(bad(503)), 200, 2},
		"500":                         {"GET", "", nil, gives(bad(500)), 500, 1},
		"500, asked for":              {"GET", "", []function.RetryIf{function.Retry500}, gives(bad(500)), 200, 2},
		"404":                         {"GET", "", nil, gives(bad(404)), 404, 1},
		"crashed":                     {"GET", "", nil, gives(&function.Result{Outcome: function.Crashed, Failure: &function.Failure{}}), 200, 2},
		"time-out":                    {"GET", "", nil, gives(&function.Result{Outcome: function.TimedOut, Failure: &function.Failure{}}), 200, 2},
		"time-out, not asked for":     {"GET", "", []function.RetryIf{function.Retry503}, gives(&function.Result{Outcome: function.TimedOut, Failure: &function.Failure{}}), 504, 1},
		"not started":                 {"GET", "", nil, gives(&function.Result{Outcome: function.InitError, Failure: &function.Failure{}}), 200, 2},
		"no instance":                 {"GET", "", nil, refuses(full), 200, 2},
		"no instance, not asked for":  {"GET", "", []function.RetryIf{function.Retry502}, refuses(full), 503, 1},
		"no such function":            {"GET", "", nil, refuses(fault.New(fault.NotFound, "gone")), 404, 1},
		"POST":                        {"POST", "", nil, gives(bad(503)), 503, 1},
		"POST with a key":             {"POST", "k-1", nil, gives(bad(503)), 200, 2},
		"asks to be left for a year":  {"GET", "", nil, gives(&function.Result{Outcome: function.Failed, Status: 503, Header: http.Header{"Retry-After": {"31536000"}}}), 503, 1},
		"asks for what is no number":  {"GET", "", nil, gives(&function.Result{Outcome: function.Failed, Status: 503, Header: http.Header{"Retry-After": {"soon"}}}), 200, 2},
		"asks for less than nothing":  {"GET", "", nil, gives(&function.Result{Outcome: function.Failed, Status: 503, Header: http.Header{"Retry-After": {"-1"}}}), 200, 2},
		"asks for more than there is": {"GET", "", nil, gives(&function.Result{Outcome: function.Failed, Status: 503, Header: http.Header{"Retry-After": {"9223372036854775807"}}}), 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := inTurn(c.first, func(c fleet.Call) (*function.Result, error) {
				b, err := io.ReadAll(c.Invocation.Request.Body)
				return ok(string(b)), err
			})
			n := start(t, f)
			n.deploy("f", enduring("", retry(function.RouteRetry{On: c.on})))
			g := n.send(c.method, "/x", "the body", keyField, c.header)
			if g.status != c.status || f.calls.Load() != c.attempts {
				t.Errorf("answer = %d %s after %d attempts, want %d after %d", g.status, g.body, f.calls.Load(), c.status, c.attempts)
			}
			if g.status == 200 && (g.body != "the body" || g.header.Get("X-Function") != "") {
				t.Errorf("the second attempt had the body %q, and the answer %v", g.body, g.header)
			}
		})
	}
}

func TestAttemptsAreInvocationsOfOneRun(t *testing.T) {
	f := inTurn(gives(bad(503)), gives(bad(503)), gives(ok("at last")))
	n := start(t, f)
	n.deploy("f", enduring("GET", retry(function.RouteRetry{})))
	g := n.send("GET", "/x", "")
	run := g.header.Get(runHeader)
	if g.status != 200 || g.body != "at last" || run == "" {
		t.Fatalf("answer = %d %s of run %q", g.status, g.body, run)
	}
	ids := map[string]bool{}
	for want := 1; want <= 3; want++ {
		inv := (<-f.seen).Invocation
		if inv.Attempt != want || inv.Run != run || ids[inv.ID] {
			t.Errorf("attempt %d: the function was told attempt %d of run %s with the id %s", want, inv.Attempt, inv.Run, inv.ID)
		}
		ids[inv.ID] = true
	}
	for i, q := range n.requests(3) {
		want := function.Request{ID: q.ID, Run: run, Attempt: i + 1}
		if i == 0 {
			want = function.Request{ID: run}
		}
		if got := (function.Request{ID: q.ID, Run: q.Run, Attempt: q.Attempt}); got.ID != want.ID || got.Run != want.Run || got.Attempt != want.Attempt || !ids[q.ID] {
			t.Errorf("record %d names %+v, want %+v", i, got, want)
		}
	}
}

func TestAttemptsEndWithTheLastAnswer(t *testing.T) {
	n := start(t, inTurn(gives(bad(503)), gives(bad(502))))
	n.deploy("f", enduring("GET", retry(function.RouteRetry{})))
	if g := n.send("GET", "/x", ""); g.status != 502 || g.body != "bad" || n.metric("dalamb_gateway_retries_total") != 2 {
		t.Errorf("answer = %d %s after %v retries, want the third attempt's own", g.status, g.body, n.metric("dalamb_gateway_retries_total"))
	}
}

func TestRetriesDoNotMakeAStorm(t *testing.T) {
	f := inTurn(gives(bad(503)))
	now := time.Unix(1000, 0)
	n := start(t, f, hold(nil, func() time.Time { return now }))
	n.deploy("f", enduring("GET", retry(function.RouteRetry{Attempts: 10, Budget: 10})))
	for range 200 {
		if g := n.send("GET", "/x", ""); g.status != 503 {
			t.Fatalf("answer = %d %s", g.status, g.body)
		}
	}
	if got := f.calls.Load(); got < 210 || got > 220 {
		t.Errorf("200 requests made %d attempts, want a tenth more", got)
	}
}

func TestABodyThatComesOnceIsTriedOnce(t *testing.T) {
	f := inTurn(gives(bad(503)))
	n := start(t, f)
	n.deploy("f", enduring("PUT", retry(function.RouteRetry{})))
	req, err := http.NewRequest("PUT", n.url+"/x", io.MultiReader(strings.NewReader("of a length"), strings.NewReader(" not known")))
	if err != nil {
		t.Fatal(err)
	}
	if g := n.do(req); g.status != 503 || f.calls.Load() != 1 {
		t.Errorf("answer = %d after %d attempts, want the first", g.status, f.calls.Load())
	}
	if used := n.held.used.Load(); used != 0 {
		t.Errorf("%d bytes are held when all is over", used)
	}
}

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
			if used := n.held.used.Load(); used != 0 {
				t.Errorf("%d bytes are held when all is over", used)
			}
		})
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

func TestAHedgeAnswersForWhoIsSlow(t *testing.T) {
	until := make(chan struct{})
	f := inTurn(hangs(until, ok("slow")), gives(ok("quick")))
	n := start(t, f)
	n.deploy("f", enduring("", func(r *function.Route) { r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 10e6}, Budget: 10} }))
	g := n.send("GET", "/x", "")
	if g.status != 200 || g.body != "quick" {
		t.Errorf("answer = %d %s, want the second attempt's", g.status, g.body)
	}
	close(until)
	qs := n.requests(2)
	i := slices.IndexFunc(qs, func(q function.Request) bool { return q.Attempt == 2 })
	if i < 0 || qs[i].Run != qs[1-i].ID || g.header.Get(runHeader) != qs[1-i].ID {
		t.Errorf("the records are %+v, want two attempts of one run", qs)
	}
}

func TestWhatIsHedged(t *testing.T) {
	for name, c := range map[string]struct {
		method        string
		first, second func(fleet.Call) (*function.Result, error)
		status        int
		body          string
		attempts      int64
	}{
		"quick":                      {"GET", gives(ok("1")), gives(ok("2")), 200, "1", 1},
		"a quick failure":            {"GET", gives(bad(500)), gives(ok("2")), 500, "bad", 1},
		"an error":                   {"GET", refuses(fault.New(fault.Unavailable, "no")), gives(ok("2")), 503, "", 1},
		"POST":                       {"POST", gives(ok("1")), gives(ok("2")), 200, "1", 1},
		"slow, and the second fails": {"GET", nil, gives(bad(500)), 200, "slow", 2},
		"slow, and there is no room": {"GET", nil, refuses(fault.New(fault.Exhausted, "no")), 200, "slow", 2},
	} {
		t.Run(name, func(t *testing.T) {
			seconds := make(chan struct{})
			if c.first == nil {
				c.first = func(fleet.Call) (*function.Result, error) {
					<-seconds
					return ok("slow"), nil
				}
			}
			f := inTurn(c.first, func(call fleet.Call) (*function.Result, error) {
				defer close(seconds)
				return c.second(call)
			})
			n := start(t, f)
			after := 60 * time.Second
			if c.attempts == 2 {
				after = time.Millisecond
			}
			n.deploy("f", enduring("", func(r *function.Route) {
				r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: function.Duration(after)}, Budget: 10}
			}))
			if g := n.send(c.method, "/x", ""); g.status != c.status || c.body != "" && g.body != c.body || f.calls.Load() != c.attempts {
				t.Errorf("answer = %d %s after %d attempts, want %d %s after %d", g.status, g.body, f.calls.Load(), c.status, c.body, c.attempts)
			}
		})
	}
}

func TestHedgesHaveABudget(t *testing.T) {
	now := time.Unix(1000, 0)
	n := start(t, says("x"), hold(nil, func() time.Time { return now }))
	h := newHedging(n.Gateway, &function.Hedge{Budget: 10})
	ask := func(requests int) (hedged int) {
		for range requests {
			h.budget.request(now)
			if (&inDoubt{h: h, left: 1}).another() {
				hedged++
			}
		}
		return hedged
	}
	if got := ask(10); got != extraFree {
		t.Errorf("10 slow requests had %d second attempts, want all: the first ones are free", got)
	}
	if got := ask(190); got != 10 {
		t.Errorf("190 more had %d, want a tenth of all together", got)
	}
	now = now.Add(extraWindow)
	if got := ask(10); got != extraFree {
		t.Errorf("10 when that is long ago had %d, want all", got)
	}
}

func TestHowLongAnswersUsuallyTake(t *testing.T) {
	var d durations
	for i := range 1000 {
		if p, known := d.percentile(95); known != (i >= enoughDurations) || known && p > time.Duration(i)*time.Millisecond {
			t.Fatalf("of %d answers p95 = %v, %v", i, p, known)
		}
		d.add(time.Duration(i) * time.Millisecond)
	}
	if p, _ := d.percentile(95); p < 950*time.Millisecond || p > 990*time.Millisecond {
		t.Errorf("p95 of the last answers, of 744ms to 999ms, = %v", p)
	}
	if p, _ := d.percentile(50); p < 840*time.Millisecond || p > 875*time.Millisecond {
		t.Errorf("their p50 = %v", p)
	}
}

func breaking(n *node, more func(*function.Route)) {
	n.deploy("f", enduring("", func(r *function.Route) {
		r.Breaker = &function.Breaker{Failures: 3, Window: function.Duration(time.Minute), Open: function.Duration(100 * time.Millisecond), HalfOpen: 1}
		if more != nil {
			more(r)
		}
	}))
}

func TestABreakerOpensTriesAndCloses(t *testing.T) {
	f := inTurn(gives(bad(500)), refuses(fault.New(fault.Unavailable, "no")), gives(bad(503)), gives(bad(503)), gives(ok("well")))
	n := start(t, f)
	breaking(n, nil)
	for _, want := range []int{500, 503, 503} {
		if g := n.send("GET", "/x", ""); g.status != want {
			t.Fatalf("answer = %d %s, want %d", g.status, g.body, want)
		}
	}
	g := n.send("GET", "/x", "")
	if g.status != 503 || g.header.Get("Retry-After") != "1" || !strings.Contains(g.body, "left alone") || f.calls.Load() != 3 {
		t.Errorf("answer = %d %s %v after %d calls, want 503 without one", g.status, g.body, g.header, f.calls.Load())
	}
	// As often as it is tried it is asked once: it fails, then it is well.
	for well := false; !well; {
		g := n.send("GET", "/x", "")
		well = g.status == 200
		if f.calls.Load() > 5 {
			t.Fatalf("the function was called %d times", f.calls.Load())
		}
	}
	var told []string
	for len(told) < 5 {
		told = nil
		for _, e := range n.events(function.TopicEvents) {
			told = append(told, e.Type)
			if e.Subject != "f" || !event.Reserved(e.Type) {
				t.Errorf("the event is of %s %s", e.Subject, e.Type)
			}
		}
	}
	if want := []string{event.TypeBreakerOpened, event.TypeBreakerHalfOpened, event.TypeBreakerOpened, event.TypeBreakerHalfOpened, event.TypeBreakerClosed}; !slices.Equal(told, want) {
		t.Errorf("the events are %v, want %v", told, want)
	}
	var d function.BreakerChanged
	if err := json.Unmarshal(n.events(function.TopicEvents)[0].Data, &d); err != nil || d.State != function.BreakerOpen || d.Before != function.BreakerClosed || d.Failures != 3 || d.Route != "r" {
		t.Errorf("the first event says %+v, %v", d, err)
	}
}

func TestWhatIsNoFailureOpensNothing(t *testing.T) {
	f := inTurn(gives(bad(404)), gives(bad(429)), refuses(fault.New(fault.NotFound, "no")), gives(bad(400)), gives(bad(499)), gives(ok("x")))
	n := start(t, f)
	breaking(n, nil)
	for range 10 {
		n.send("GET", "/x", "")
	}
	if f.calls.Load() != 10 || n.metric("dalamb_gateway_breaker_changes_total") != 0 {
		t.Errorf("the function was called %d times, and its breaker changed %v times", f.calls.Load(), n.metric("dalamb_gateway_breaker_changes_total"))
	}
}

func TestWhatWasAskedBeforeABreakerOpenedDoesNotCloseIt(t *testing.T) {
	old, probe, ended := make(chan struct{}), make(chan struct{}), make(chan got)
	f := inTurn(hangs(old, ok("from before")), gives(bad(500)), gives(bad(500)), gives(bad(500)), hangs(probe, ok("well")))
	n := start(t, f)
	breaking(n, nil)
	go func() { ended <- n.send("GET", "/x", "") }()
	<-f.seen
	for range 3 {
		if g := n.send("GET", "/x", ""); g.status != 500 {
			t.Fatalf("answer = %d %s", g.status, g.body)
		}
		<-f.seen
	}
	for tried := false; !tried; { // until its time to be tried has come
		go func() { ended <- n.send("GET", "/x", "") }()
		select {
		case g := <-ended:
			if g.status != 503 {
				t.Fatalf("answer of an open breaker = %d %s", g.status, g.body)
			}
		case <-f.seen:
			tried = true
		}
	}
	close(old)
	if g := <-ended; g.body != "from before" {
		t.Fatalf("the first answer = %d %s", g.status, g.body)
	}
	if g := n.send("GET", "/x", ""); g.status != 503 || !strings.Contains(g.body, "half-open") {
		t.Errorf("answer while it is tried = %d %s, want that it is", g.status, g.body)
	}
	close(probe)
	if g := <-ended; g.body != "well" {
		t.Errorf("the probe = %d %s", g.status, g.body)
	}
	if g := n.send("GET", "/x", ""); g.status != 200 {
		t.Errorf("answer afterwards = %d %s", g.status, g.body)
	}
}

func TestAClientThatGoesAwayOpensNothing(t *testing.T) {
	f := inTurn(func(c fleet.Call) (*function.Result, error) {
		<-c.Invocation.Request.Context().Done()
		return nil, fault.New(fault.Exhausted, "no instance: %w", c.Invocation.Request.Context().Err())
	})
	n := start(t, f)
	breaking(n, nil)
	for range 5 {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-f.seen
			leave()
		}()
		if _, err := http.DefaultClient.Do(req); err == nil {
			t.Fatal("a client that has gone got an answer")
		}
	}
	n.stop()
	if got := n.metric("dalamb_gateway_breaker_changes_total"); got != 0 {
		t.Errorf("the breaker changed %v times for clients that went away", got)
	}
}

func TestABreakerOutlivesADeployThatDoesNotChangeIt(t *testing.T) {
	f := inTurn(gives(bad(500)))
	n := start(t, f)
	long := func(r *function.Route) { r.Breaker.Open = function.Duration(time.Hour) }
	breaking(n, long)
	for range 4 {
		n.send("GET", "/x", "")
	}
	n.deploy("other", route("r", "", "/other"))
	if g := n.send("GET", "/x", ""); !strings.Contains(g.body, "left alone") || g.header.Get("Retry-After") != "3600" {
		t.Errorf("answer after a deploy = %d %s, want that of an open breaker", g.status, g.body)
	}
	breaking(n, func(r *function.Route) { long(r); r.Breaker.Failures = 2 })
	if g := n.send("GET", "/x", ""); strings.Contains(g.body, "left alone") {
		t.Errorf("answer with another breaker = %d %s, want the function's", g.status, g.body)
	}
}

func TestABreakerThatFluttersFloodsNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	n := start(t, says("x"), hold(nil, func() time.Time { return now }))
	breaking(n, nil)
	n.send("GET", "/x", "")
	b := newBreaker(n.Gateway, n.catalog.View().Routes()[0].Trigger)
	for range 1000 {
		b.circuit.Open()
		b.circuit.Close()
	}
	if waiting := len(n.news.queue); waiting > newsAtOnce {
		t.Errorf("%d events wait, want %d at most", waiting, newsAtOnce)
	}
	if untold := b.untold.Load(); untold != 2000-newsAtOnce {
		t.Errorf("%d changes are not told of, want the others", untold)
	}
}

func TestAFallbackAnswersInPlaceOfAnError(t *testing.T) {
	static := function.Fallback{Status: 203, Body: `{"items":[]}`}
	for name, c := range map[string]struct {
		do     func(fleet.Call) (*function.Result, error)
		status int
		body   string
	}{
		"well":             {gives(ok("x")), 200, "x"},
		"not found":        {gives(bad(404)), 404, "bad"},
		"500":              {gives(bad(500)), 203, static.Body},
		"crashed":          {gives(&function.Result{Outcome: function.Crashed, Failure: &function.Failure{}}), 203, static.Body},
		"no instance":      {refuses(fault.New(fault.Exhausted, "full")), 203, static.Body},
		"a mistake":        {refuses(fmt.Errorf("a mistake")), 203, static.Body},
		"at its own bound": {refuses(fault.New(fault.Exhausted, "full: %w", fleet.ErrOwnBound)), 429, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, inTurn(c.do))
			n.deploy("f", enduring("", func(r *function.Route) { r.Fallback = &static }))
			g := n.send("POST", "/x", "b")
			if g.status != c.status || c.body != "" && g.body != c.body || c.status == 203 && (g.header.Get("Content-Type") != "application/json" || g.header.Get("X-Function") != "") {
				t.Errorf("answer = %d %s %v, want %d %s", g.status, g.body, g.header, c.status, c.body)
			}
		})
	}
}

func TestAFallbackThatIsAFunction(t *testing.T) {
	for name, c := range map[string]struct {
		second func(fleet.Call) (*function.Result, error)
		status int
		body   string
	}{
		"answers": {func(c fleet.Call) (*function.Result, error) {
			b, err := io.ReadAll(c.Invocation.Request.Body)
			return ok(c.Function + " got " + string(b)), err
		}, 200, "g got the body"},
		"fails too":     {gives(bad(500)), 500, "bad"},
		"crashes too":   {gives(&function.Result{Outcome: function.Crashed, Failure: &function.Failure{}}), 502, "ended before it answered"},
		"is not there":  {refuses(fault.New(fault.NotFound, "no g")), 503, "its fallback is not there"},
		"has no place":  {refuses(fault.New(fault.Exhausted, "full")), 503, "full"},
		"says too much": {gives(&function.Result{Outcome: function.Succeeded, Status: 99, Header: http.Header{}}), 502, "cannot be passed on"},
	} {
		t.Run(name, func(t *testing.T) {
			f := inTurn(gives(bad(500)), c.second)
			n := start(t, f)
			n.deploy("f", enduring("", func(r *function.Route) { r.Fallback = &function.Fallback{Function: "g"} }))
			g := n.send("POST", "/x", "the body")
			if g.status != c.status || !strings.Contains(g.body, c.body) || f.calls.Load() != 2 {
				t.Errorf("answer = %d %s after %d calls, want %d %s", g.status, g.body, f.calls.Load(), c.status, c.body)
			}
			first, second := (<-f.seen).Invocation, (<-f.seen).Invocation
			if second.Run != first.ID || second.Attempt != 2 || g.header.Get(runHeader) != first.ID {
				t.Errorf("the fallback was told attempt %d of run %s, want 2 of %s", second.Attempt, second.Run, first.ID)
			}
		})
	}
}

func TestAFallbackStandsInForAnOpenBreaker(t *testing.T) {
	f := inTurn(gives(bad(500)))
	n := start(t, f)
	breaking(n, func(r *function.Route) {
		r.Breaker.Open = function.Duration(time.Hour)
		r.Fallback = &function.Fallback{Body: "standing in"}
	})
	for range 10 {
		if g := n.send("GET", "/x", ""); g.status != 200 || g.body != "standing in" || g.header.Get("Retry-After") != "" {
			t.Errorf("answer = %d %s %v", g.status, g.body, g.header)
		}
	}
	if f.calls.Load() != 3 || n.metric("dalamb_gateway_fallbacks_total") != 10 || n.metric("dalamb_gateway_breaker_refused_total") != 7 {
		t.Errorf("the function was called %d times", f.calls.Load())
	}
}

// allPolicies gives a route every policy of this file, none of which has a reason to act.
func allPolicies(r *function.Route) {
	r.Timeout = &function.RouteTimeout{Connect: 60e9, FirstByte: 60e9, Total: 120e9}
	r.Retry = &function.RouteRetry{Attempts: 3, Budget: 100}
	r.Breaker = &function.Breaker{Failures: 1, Window: 1e9, Open: 60e9, HalfOpen: 1}
	r.Fallback = &function.Fallback{Body: "a fallback"}
	if r.Method == "GET" {
		r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 60e9}, Budget: 100}
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
				if used := n.held.used.Load(); used != 0 {
					t.Errorf("%d bytes are held when all is over", used)
				}
			})
		}
	}
}

// A function that does anything at any time: each client gets one whole answer of one attempt, or is told why not, and nothing is left of it.
func TestWhateverAFunctionDoesEachClientHasOneAnswer(t *testing.T) {
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		for range rand.IntN(3000) {
			runtime.Gosched() // some take longer than their time
		}
		id := c.Invocation.ID
		switch rand.IntN(8) {
		case 0:
			return bad(500 + rand.IntN(5)), nil
		case 1:
			return nil, fault.New(fault.Exhausted, "no instance")
		case 2:
			return &function.Result{Outcome: function.Crashed, Failure: &function.Failure{Message: "gone"}}, nil
		case 3, 4:
			w, err := c.Invocation.Responder.Respond(function.Head{Status: 200, Length: -1, Header: http.Header{"X-Id": {id}}})
			for range 3 {
				if err == nil {
					_, err = io.WriteString(w, id+"\n")
				}
				runtime.Gosched()
			}
			return &function.Result{Outcome: function.Succeeded, Status: 200, Abandoned: err != nil, Trailer: http.Header{"X-Sum": {id}}}, nil
		}
		r := ok(strings.Repeat(id+"\n", 3))
		r.Header.Set("X-Id", id)
		return r, nil
	}))
	n.deploy("f", enduring("", func(r *function.Route) {
		r.Timeout = &function.RouteTimeout{Connect: 1e9, FirstByte: 1e6, Total: 4e6}
		r.Retry = &function.RouteRetry{Attempts: 3, On: []function.RetryIf{function.RetryConnect, function.RetryTimeout, function.Retry500, function.Retry502, function.Retry503}, Backoff: 1e5, Budget: 100}
		r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 3e5}, Budget: 100}
		r.Breaker = &function.Breaker{Failures: 20, Window: 1e9, Open: 1e8, HalfOpen: 2}
	}))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var clients sync.WaitGroup
	var answered, cut atomic.Int64
	for range 8 {
		clients.Go(func() {
			for range 40 {
				resp, err := client.Post(n.url+"/x", "text/plain", strings.NewReader("a body"))
				if rand.IntN(4) > 0 {
					if err == nil {
						resp.Body.Close()
					}
					resp, err = client.Get(n.url + "/x")
				}
				if err != nil {
					cut.Add(1) // before its first byte was on the way
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				id := resp.Header.Get("X-Id")
				switch {
				case err != nil:
					cut.Add(1)
				case resp.StatusCode == 200 && string(body) != strings.Repeat(id+"\n", 3), resp.StatusCode != 200 && id != "":
					t.Errorf("answer = %d %q, of attempt %s", resp.StatusCode, body, id)
				default:
					answered.Add(1)
				}
				if sum := resp.Trailer.Get("X-Sum"); err == nil && sum != "" && sum != id {
					t.Errorf("the trailer of an answer of %s is that of %s", id, sum)
				}
			}
		})
	}
	clients.Wait()
	client.CloseIdleConnections()
	n.background.Wait()
	if used := n.held.used.Load(); used != 0 {
		t.Errorf("%d bytes are held when all is over", used)
	}
	if answered.Load() < 100 {
		t.Errorf("%d were answered, %d cut off", answered.Load(), cut.Load())
	}
}
