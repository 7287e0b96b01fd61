package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

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

// TestWhatTheLogDidNotTakeIsNotTriedAgain: the function has run, and the client is told so.
func TestWhatTheLogDidNotTakeIsNotTriedAgain(t *testing.T) {
	f := inTurn(gives(ok("done")))
	n := start(t, f)
	n.deploy("f", enduring("PUT", func(r *function.Route) {
		retry(function.RouteRetry{})(r)
		r.Durable = true
	}))
	n.log.fail(fault.New(fault.Unavailable, "the disk failed"))
	if g := n.send("PUT", "/x", ""); g.status != 503 || f.calls.Load() != 1 || !strings.Contains(g.fault(t).Hint, "the function has run") {
		t.Errorf("answer = %d %s after %d calls, want 503 after one", g.status, g.body, f.calls.Load())
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
			g := n.send(c.method, "/x", "the body", function.HeaderIdempotencyKey, c.header)
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
	for name, body := range map[string]io.Reader{
		"of a length that is not known": io.MultiReader(strings.NewReader("a "), strings.NewReader("body")),
		"too large to be held":          strings.NewReader(strings.Repeat("x", 101)),
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			n := start(t, taking(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				calls.Add(1)
				_, err := io.Copy(io.Discard, c.Invocation.Request.Body)
				return bad(503), err
			}), func(o *Options) { o.Limits.Request, o.Limits.Upload = 100, 1000 })
			n.deploy("f", enduring("PUT", func(r *function.Route) {
				retry(function.RouteRetry{})(r)
				r.Fallback = &function.Fallback{Function: "other"}
			}))
			req, err := http.NewRequest("PUT", n.url+"/x", body)
			if err != nil {
				t.Fatal(err)
			}
			if g := n.do(req); g.status != 503 || calls.Load() != 1 {
				t.Errorf("answer = %d %s after %d attempts, want the first", g.status, g.body, calls.Load())
			}
			n.holdsNothing(t)
		})
	}
}
