package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// remembering has a node remember keys, in its own log.
func remembering(t testing.TB) func(*Options) {
	return func(o *Options) {
		log := o.Log.(*sickLog)
		if err := log.CreateTopic(context.Background(), eventlog.Topic{Name: function.TopicIdempotency, Partitions: idempotency.Partitions, Compact: true}); err != nil {
			t.Fatal(err)
		}
		o.Keys = keysOf(t, log)
	}
}

// keysOf are the keys of a node that has just started on this log.
func keysOf(t testing.TB, log *sickLog) Keys {
	keys, err := idempotency.New(idempotency.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var folding sync.WaitGroup
	folding.Go(func() { _ = keys.Run(ctx) })
	t.Cleanup(func() { cancel(); folding.Wait() })
	return keys
}

// onceRoute is a route of any method whose requests are run once.
func onceRoute(change ...func(*function.Route)) function.Trigger {
	return enduring("", func(r *function.Route) {
		r.Idempotency = &function.Idempotency{Keep: function.Duration(3600e9)}
		for _, c := range change {
			c(r)
		}
	})
}

func TestARequestWithAKeyIsRunOnce(t *testing.T) {
	f := inTurn(gives(&function.Result{
		Outcome: function.Succeeded, Status: 201, Body: []byte("made"), Version: 1,
		Header: http.Header{"Location": {"/o/1"}, "Set-Cookie": {"a=b"}, "Idempotent-Replayed": {"yes"}, "Content-Type": {"text/x"}},
	}))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	first := n.send("POST", "/x?a=b", "body", "Idempotency-Key", "k-1")
	if first.status != 201 || first.body != "made" || first.header["Idempotent-Replayed"] != nil || first.header.Get("Set-Cookie") != "a=b" {
		t.Fatalf("the first answer is %d %q %v", first.status, first.body, first.header)
	}
	for _, key := range []string{"k-1", `"k-1"`, " k-1 "} {
		g := n.send("POST", "/x?a=b", "body", "Idempotency-Key", key)
		if g.status != 201 || g.body != "made" || g.header.Get("Idempotent-Replayed") != "true" || g.header.Get("Location") != "/o/1" || g.header.Get("Content-Type") != "text/x" {
			t.Errorf("with the key %s again: %d %q %v, want the first answer", key, g.status, g.body, g.header)
		}
		if g.header.Get(runHeader) != first.header.Get(runHeader) || g.header["Set-Cookie"] != nil {
			t.Errorf("with the key %s again: run %s, cookies %v; want that of the first, and none", key, g.header.Get(runHeader), g.header["Set-Cookie"])
		}
	}
	if c := <-f.seen; f.calls.Load() != 1 || c.Invocation.Request.Header.Get("Idempotency-Key") != "k-1" {
		t.Errorf("the function was asked %d times, with the key %q", f.calls.Load(), c.Invocation.Request.Header.Get("Idempotency-Key"))
	}
	for _, send := range [][]string{{"POST", ""}, {"POST", ""}, {"GET", "k-1"}, {"GET", "k-1"}, {"POST", "k-2"}} {
		if g := n.send(send[0], "/x", "", "Idempotency-Key", send[1]); g.status != 201 {
			t.Errorf("%v: %d %v", send, g.status, g.header)
		}
	}
	if f.calls.Load() != 6 {
		t.Errorf("the function was asked %d times, want 6: what changes nothing, or has no key, is run as it comes", f.calls.Load())
	}
}

func TestWhichAnswersAreGivenAgain(t *testing.T) {
	failure := &function.Failure{Message: "no"}
	for name, c := range map[string]struct {
		first  func(fleet.Call) (*function.Result, error)
		status int
		kept   bool
	}{
		"200":             {gives(ok("x")), 200, true},
		"204":             {gives(&function.Result{Outcome: function.Succeeded, Status: 204, Header: http.Header{}}), 204, true},
		"404":             {gives(bad(404)), 404, true},
		"500":             {gives(bad(500)), 500, true},
		"408":             {gives(bad(408)), 408, false},
		"425":             {gives(bad(425)), 425, false},
		"429":             {gives(bad(429)), 429, false},
		"502":             {gives(bad(502)), 502, false},
		"503":             {gives(bad(503)), 503, false},
		"crashed":         {gives(&function.Result{Outcome: function.Crashed, Failure: failure}), 502, false},
		"error of lambda": {gives(&function.Result{Outcome: function.Failed, Failure: failure}), 502, false},
		"time-out":        {gives(&function.Result{Outcome: function.TimedOut, Failure: failure}), 504, false},
		"no instance":     {refuses(fault.New(fault.Exhausted, "no instance")), 503, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := inTurn(c.first, gives(ok("second")))
			n := start(t, f, remembering(t))
			n.deploy("f", onceRoute())
			first := n.send("POST", "/x", "", "Idempotency-Key", "k")
			if first.status != c.status {
				t.Fatalf("the first answer is %d %s, want %d", first.status, first.body, c.status)
			}
			want, calls := got{status: 200, body: "second"}, int64(2)
			if c.kept {
				want, calls = first, 1
			}
			if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != want.status || g.body != want.body || f.calls.Load() != calls {
				t.Errorf("then it is %d %s after %d calls, want %d %s after %d", g.status, g.body, f.calls.Load(), want.status, want.body, calls)
			}
		})
	}
}

func TestAKeyIsOfOneRequest(t *testing.T) {
	f := inTurn(gives(ok("x")))
	n := start(t, f, remembering(t), func(o *Options) { o.Redact = []string{"x-own-secret"} })
	n.deploy("f", onceRoute())
	if g := n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine"); g.status != 200 {
		t.Fatalf("the first answer is %d %s", g.status, g.body)
	}
	for name, send := range map[string]func() got{
		"another body": func() got {
			return n.send("POST", "/x?a=1", "BODY", "Idempotency-Key", "k", "Authorization", "Bearer mine")
		},
		"another query": func() got {
			return n.send("POST", "/x?a=2", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine")
		},
		"another method": func() got {
			return n.send("PUT", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine")
		},
		"another host": func() got {
			return n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine", "Host", "h")
		},
		"another caller": func() got {
			return n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer other")
		},
		"an API key": func() got {
			return n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine", "X-Api-Key", "other")
		},
		"a secret of the settings": func() got {
			return n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine", "X-Own-Secret", "other")
		},
		"a cookie": func() got {
			return n.send("POST", "/x?a=1", "body", "Idempotency-Key", "k", "Authorization", "Bearer mine", "Cookie", "a=b")
		},
	} {
		if g := send(); g.status != 422 || g.fault(t).Hint == "" {
			t.Errorf("%s: %d %s, want 422", name, g.status, g.body)
		}
	}
	if f.calls.Load() != 1 {
		t.Errorf("the function was asked %d times", f.calls.Load())
	}
}

func TestTwoCallersMayHaveTheSameKey(t *testing.T) {
	f := inTurn(gives(ok("one")), gives(ok("two")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) {
		r.Auth = &function.Auth{Token: &function.TokenAuth{Names: []string{"ann", "bob"}}}
	}))
	n.giveToken("ann", "token-of-ann")
	n.giveToken("bob", "token-of-bob")
	for _, c := range [][2]string{{"ann", "one"}, {"bob", "two"}, {"ann", "one"}, {"bob", "two"}} {
		if g := n.send("POST", "/x", "", "Idempotency-Key", "k", "Authorization", "Bearer token-of-"+c[0]); g.body != c[1] {
			t.Errorf("%s gets %q, want %q", c[0], g.body, c[1])
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	f := inTurn(gives(ok("x")))
	n := start(t, f, remembering(t))
	must := onceRoute(func(r *function.Route) { r.Path, r.Idempotency.Required = "/must", true })
	must.Name = "must"
	n.deploy("f", onceRoute(), must)
	for _, key := range []string{" ", `""`, `"k`, `k"`, `"k"x`, `"k";p=1`, `"k\x"`, `"\`, "a b", "a,b", "k\u00e9", "\x7f", "a\tb", strings.Repeat("k", 256), `"` + strings.Repeat("k", 256) + `"`} {
		r, err := http.NewRequest("POST", n.url+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Idempotency-Key"] = []string{key}
		if key == "\x7f" { // a client of net/http does not send it
			r.Header["Idempotency-Key"] = []string{"\u00ff"}
		}
		if g := n.do(r); g.status != 400 || !strings.Contains(g.fault(t).Message, "Idempotency-Key") {
			t.Errorf("%q: %d %s, want 400", key, g.status, g.body)
		}
	}
	two, err := http.NewRequest("POST", n.url+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	two.Header["Idempotency-Key"] = []string{"a", "b"}
	if g := n.do(two); g.status != 400 {
		t.Errorf("two keys: %d %s, want 400", g.status, g.body)
	}
	if g := n.send("POST", "/must", ""); g.status != 400 || !strings.Contains(g.fault(t).Message, "Idempotency-Key") {
		t.Errorf("none where there must be one: %d %s, want 400", g.status, g.body)
	}
	if f.calls.Load() != 0 {
		t.Errorf("the function was asked %d times", f.calls.Load())
	}
	for _, g := range []got{
		n.send("GET", "/must", ""), n.send("POST", "/must", "", "Idempotency-Key", strings.Repeat("k", 255)), n.send("POST", "/x", "", "Idempotency-Key", `"a, \"b\" \\c"`),
	} {
		if g.status != 200 {
			t.Errorf("what may be: %d %s", g.status, g.body)
		}
	}
}

func TestATwinWaitsForTheAnswer(t *testing.T) {
	until := make(chan struct{})
	f := inTurn(hangs(until, ok("once")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	answers := make(chan got, 3)
	var all sync.WaitGroup
	all.Go(func() { answers <- n.send("POST", "/x", "", "Idempotency-Key", "k") })
	<-f.seen
	for range 2 {
		all.Go(func() { answers <- n.send("POST", "/x", "", "Idempotency-Key", "k") })
	}
	close(until)
	all.Wait()
	replayed := 0
	for range 3 {
		g := <-answers
		if g.status != 200 || g.body != "once" {
			t.Errorf("an answer is %d %s", g.status, g.body)
		}
		replayed += len(g.header["Idempotent-Replayed"])
	}
	if replayed != 2 || f.calls.Load() != 1 {
		t.Errorf("%d are given again after %d calls, want two after one", replayed, f.calls.Load())
	}
}

// TestWhatIsSaidTooLateIsTheAnswerToWhoAsksAgain: the function goes on when the time of its route is over, and is not asked twice.
func TestWhatIsSaidTooLateIsTheAnswerToWhoAsksAgain(t *testing.T) {
	for name, change := range map[string]func(*function.Route){
		"first byte": func(r *function.Route) { r.Timeout = &function.RouteTimeout{FirstByte: 50e6} },
		"total":      func(r *function.Route) { r.Timeout = &function.RouteTimeout{Total: 200e6} },
		"a fallback": func(r *function.Route) {
			r.Timeout, r.Fallback = &function.RouteTimeout{Total: 200e6}, &function.Fallback{Status: 504, Body: "later"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			until := make(chan struct{})
			f := inTurn(hangs(until, ok("late")))
			n := start(t, f, remembering(t))
			n.deploy("f", onceRoute(change))
			if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 504 {
				t.Fatalf("the first answer is %d %s, want 504", g.status, g.body)
			}
			if name == "total" { // whose twins wait no longer either
				if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 409 || g.header.Get("Retry-After") == "" {
					t.Errorf("a twin meanwhile: %d %s %v, want 409 with Retry-After", g.status, g.body, g.header)
				}
			}
			close(until)
			n.background.Wait()
			if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 || g.body != "late" || g.header.Get("Idempotent-Replayed") != "true" || f.calls.Load() != 1 {
				t.Errorf("then it is %d %s %v after %d calls, want what the function said", g.status, g.body, g.header, f.calls.Load())
			}
		})
	}
}

func TestAClientThatHangsUpGetsItsAnswerWhenItComesAgain(t *testing.T) {
	until := make(chan struct{})
	f := inTurn(hangs(until, ok("late")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", n.url+"/x", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Idempotency-Key", "k")
	var gone sync.WaitGroup
	gone.Go(func() {
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
			t.Error("the client has an answer")
		}
	})
	<-f.seen
	cancel()
	gone.Wait()
	close(until)
	if g := n.send("POST", "/x", "body", "Idempotency-Key", "k", "Authorization", ""); g.status != 200 || g.body != "late" || f.calls.Load() != 1 {
		t.Errorf("then it is %d %s after %d calls, want what the function said", g.status, g.body, f.calls.Load())
	}
}

func TestAttemptsOfARequestWithAKeyHaveOneAnswer(t *testing.T) {
	f := inTurn(gives(bad(503)), gives(ok("at last")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute(retry(function.RouteRetry{})))
	for range 2 {
		if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 || g.body != "at last" || f.calls.Load() != 2 {
			t.Errorf("answer = %d %s after %d calls, want the second attempt's", g.status, g.body, f.calls.Load())
		}
	}
}

func TestAFallbackIsNoAnswerToAKey(t *testing.T) {
	for name, rule := range map[string]*function.Fallback{"that stands": {Body: "standing"}, "of a function": {Function: "other"}} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
				switch {
				case c.Function == "other":
					return ok("standing"), nil
				case calls.Add(1) == 1:
					return bad(503), nil
				}
				return ok("well again"), nil
			}), remembering(t))
			n.deploy("other")
			n.deploy("f", onceRoute(func(r *function.Route) { r.Fallback = rule }))
			for _, want := range []string{"standing", "well again", "well again"} {
				if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 || g.body != want {
					t.Errorf("answer = %d %s, want %s", g.status, g.body, want)
				}
			}
		})
	}
}

func TestALongAnswerIsGivenOnce(t *testing.T) {
	long := strings.Repeat("x", function.MaxAnswerKept+1)
	f := inTurn(gives(ok(long)))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 || g.body != long {
		t.Fatalf("the first answer is %d, %d bytes", g.status, len(g.body))
	}
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 409 || g.header["Retry-After"] != nil || f.calls.Load() != 1 {
		t.Errorf("then it is %d %s after %d calls, want 409", g.status, g.body, f.calls.Load())
	}
}

func TestWithoutTheLogNothingWithAKeyIsRun(t *testing.T) {
	f := inTurn(gives(ok("x")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	n.log.fail(fault.New(fault.Unavailable, "the disk failed"))
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 503 || f.calls.Load() != 0 {
		t.Errorf("answer = %d %s after %d calls, want 503 after none", g.status, g.body, f.calls.Load())
	}
	n.log.heal()
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 {
		t.Errorf("then it is %d %s", g.status, g.body)
	}
}

func TestAnAnswerThatTheLogDoesNotTakeIsNobodys(t *testing.T) {
	var n *node
	f := inTurn(func(fleet.Call) (*function.Result, error) {
		n.log.fail(fault.New(fault.Unavailable, "the disk failed"))
		return ok("secret of a moment"), nil
	})
	n = start(t, f, remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Timeout = &function.RouteTimeout{Total: 500e6} }))
	g := n.send("POST", "/x", "", "Idempotency-Key", "k")
	if g.status != 503 || !strings.Contains(g.fault(t).Hint, "the function has run") {
		t.Errorf("answer = %d %s, want 503 and that the function has run", g.status, g.body)
	}
	n.log.heal()
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 409 || f.calls.Load() != 1 {
		t.Errorf("then it is %d %s after %d calls, want 409: it is not known whether it may run again", g.status, g.body, f.calls.Load())
	}
}

func TestARequestThatIsAnsweredLaterIsAcceptedOnce(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Async = function.LaterAlways }))
	first := n.send("POST", "/x", "body", "Idempotency-Key", "k")
	again := n.send("POST", "/x", "body", "Idempotency-Key", "k")
	if first.status != 202 || again.status != 202 || first.header.Get("Location") == "" || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("answers = %d %v and %d %v, want the same place twice", first.status, first.header, again.status, again.header)
	}
	if got := len(n.records(function.TopicInvoke)); got != 1 {
		t.Errorf("%d requests are in the log, want one", got)
	}
}

func TestADurableRequestWithAKeyIsInTheLogOnce(t *testing.T) {
	n := start(t, inTurn(gives(ok("x"))), remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Durable = true }))
	for range 2 {
		if g := n.send("POST", "/x", "body", "Idempotency-Key", "k"); g.status != 200 || g.body != "x" {
			t.Errorf("answer = %d %s", g.status, g.body)
		}
	}
	if got := len(n.records(function.TopicRequests)); got != 1 {
		t.Errorf("%d requests are in the log, want one", got)
	}
}

func TestALongBodyWithAKeyIsRefused(t *testing.T) {
	n := start(t, says("x"), remembering(t), func(o *Options) { o.Limits.Request = 100 })
	n.deploy("f", onceRoute())
	r, err := http.NewRequest("POST", n.url+"/x", io.MultiReader(strings.NewReader(strings.Repeat("x", 101))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Idempotency-Key", "k")
	if g := n.do(r); g.status != 413 {
		t.Errorf("answer = %d %s, want 413", g.status, g.body)
	}
	n.holdsNothing(t)
}

func TestAnAttemptThatComesWhenItsKeyIsFreeIsNotMade(t *testing.T) {
	f := inTurn(gives(ok("x")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute())
	k := &keyed{left: true, settled: true}
	r, err := http.NewRequest("POST", "/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{ResponseWriter: &gathered{header: http.Header{}}}
	if err := n.serveCall(x, Call{Function: "f", Request: r, keyed: k}, false); fault.KindOf(err) != fault.Timeout || f.calls.Load() != 0 {
		t.Errorf("it ends with %v after %d calls, want Timeout after none", err, f.calls.Load())
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"k", `"k"`, `"a\"b\\"`, `"`, `""`, " k ", "a,b", "k\u00e9", `"k";p`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := idempotencyKeyOf(http.Header{"Idempotency-Key": {s}})
		if err != nil {
			return
		}
		if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q is the key %q", s, key)
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
		if again, err := idempotencyKeyOf(http.Header{"Idempotency-Key": {quoted}}); err != nil || again != key {
			t.Errorf("%q in quotes is %q, %v", key, again, err)
		}
	})
}
