package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// TestWhatIsTheSameRequest: what an answer is given to again.
func TestWhatIsTheSameRequest(t *testing.T) {
	n := start(t, says("x"))
	ask := func(fn, name, target string, who *function.Identity, header ...string) idempotency.Request {
		r := httptest.NewRequest("POST", target, http.NoBody)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		o := &once{n.Gateway, &function.Idempotency{}, &catalog.Trigger{Function: fn, Trigger: function.Trigger{Name: name, Route: &function.Route{}}}}
		return o.request(&Call{Function: fn, Request: r, Identity: who}, "k", time.Minute)
	}
	ann := &function.Identity{Type: "user", ID: "ann"}
	base, known := ask("f", "r", "http://h/x", nil), ask("f", "r", "http://h/x", ann)
	for name, c := range map[string]struct {
		is, of            idempotency.Request
		sameKey, sameRest bool
	}{
		"another function":              {ask("g", "r", "http://h/x", nil), base, false, true},
		"another route":                 {ask("f", "s", "http://h/x", nil), base, false, true},
		"another port":                  {ask("f", "r", "http://h:81/x", nil), base, true, true},
		"another kind of name":          {ask("f", "r", "http://h/x", &function.Identity{Type: "service", ID: "ann"}), known, false, true},
		"another name":                  {ask("f", "r", "http://h/x", &function.Identity{Type: "user", ID: "bob"}), known, false, true},
		"a fresh token of who is known": {ask("f", "r", "http://h/x", ann, "Authorization", "Bearer fresh"), known, true, true},
		"a token of who is not":         {ask("f", "r", "http://h/x", nil, "Authorization", "Bearer fresh"), base, true, false},
	} {
		if key, rest := c.is.Key == c.of.Key, c.is.Fingerprint == c.of.Fingerprint; key != c.sameKey || rest != c.sameRest {
			t.Errorf("%s: same key %v, same request %v; want %v and %v", name, key, rest, c.sameKey, c.sameRest)
		}
	}
}

func TestWhatStandsInAKey(t *testing.T) {
	for given, want := range map[string]string{" k\t": "k", `"a b, \"c\" \\"`: `a b, "c" \`, "\"a\x01\"": "", "\"a\u00e9\"": "", "a\x01": "", `"a`: ""} {
		key, err := idempotencyKeyOf(http.Header{"Idempotency-Key": {given}})
		if key != want || (err != nil) != (want == "") || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q is the key %q, %v, want %q", given, key, err, want)
		}
	}
}

// noAnswer is a log whose keys have answers that are not there any more.
type noAnswer struct{}

func (noAnswer) Enter(context.Context, idempotency.Request) (*idempotency.Entered, error) {
	return nil, idempotency.ErrGone
}

func TestAnAnswerThatTheLogHasDroppedIsSaidToBeGone(t *testing.T) {
	f := inTurn(gives(ok("x")))
	n := start(t, f, func(o *Options) { o.Keys = noAnswer{} })
	n.deploy("f", onceRoute())
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 409 || g.header["Retry-After"] != nil || g.fault(t).Hint == "" || f.calls.Load() != 0 {
		t.Errorf("answer = %d %v %s after %d calls, want 409 after none", g.status, g.header, g.body, f.calls.Load())
	}
}

func TestARequestOfAKilledNodeIsTheNextAttemptOfItsRun(t *testing.T) {
	var n *node
	var seen []function.Invocation
	n = start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		switch seen = append(seen, *c.Invocation); len(seen) {
		case 1:
			n.log.fail(fault.New(fault.Unavailable, "the node is dead"))
			return ok("nobody hears this"), nil
		case 2:
			return bad(503), nil
		}
		return ok("at last"), nil
	}), remembering(t))
	n.deploy("f", onceRoute(retry(function.RouteRetry{})))
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 503 {
		t.Fatalf("the node that is killed answers %d %s", g.status, g.body)
	}
	n.log.heal()
	n.Gateway.keys = keysOf(t, n.log)
	g := n.send("POST", "/x", "", "Idempotency-Key", "k")
	if g.status != 200 || g.body != "at last" || len(seen) != 3 {
		t.Fatalf("who comes again is answered %d %s after %d invocations", g.status, g.body, len(seen))
	}
	ids := map[string]bool{}
	for i, inv := range seen {
		ids[inv.ID] = true
		if inv.Run != seen[0].ID || inv.Attempt != i+1 {
			t.Errorf("invocation %d is attempt %d of run %s, want of %s", i+1, inv.Attempt, inv.Run, seen[0].ID)
		}
	}
	if len(ids) != 3 || g.header.Get(runHeader) != seen[0].ID {
		t.Errorf("three invocations have the ids %v, and their client is told run %s", ids, g.header.Get(runHeader))
	}
}

func TestAnAnswerIsGivenAgainWithWhatItSaysOfItsBody(t *testing.T) {
	for name, res := range map[string]*function.Result{
		"no type": {Outcome: function.Succeeded, Status: 200, Header: http.Header{}, Body: []byte("<p>x")},
		"no body": {Outcome: function.Succeeded, Status: 204, Header: http.Header{}},
	} {
		n := start(t, inTurn(gives(res)), remembering(t))
		n.deploy("f", onceRoute())
		first, again := n.send("POST", "/x", "", "Idempotency-Key", "k"), n.send("POST", "/x", "", "Idempotency-Key", "k")
		if first.header.Get("Content-Type") != "" {
			t.Errorf("%s: the first answer is %q", name, first.header.Get("Content-Type"))
		}
		for _, h := range []string{"Content-Type", "Content-Length"} {
			if got, want := again.header.Get(h), first.header.Get(h); again.status != res.Status || got != want {
				t.Errorf("%s: %d with %s %q, want %q as the first time", name, again.status, h, got, want)
			}
		}
	}
}

func TestAFailureThatComesTooLateMakesTheKeyFree(t *testing.T) {
	until := make(chan struct{})
	f := inTurn(hangs(until, bad(500)), gives(ok("second")))
	n := start(t, f, remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Timeout = &function.RouteTimeout{FirstByte: 50e6} }))
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 504 {
		t.Fatalf("the first answer is %d %s, want 504", g.status, g.body)
	}
	close(until)
	n.background.Wait()
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 200 || g.body != "second" {
		t.Errorf("then it is %d %s, want that it is run again", g.status, g.body)
	}
}

// TestOfSeveralAttemptsOneAnswers: the first that settles the request; who comes later changes nothing.
func TestOfSeveralAttemptsOneAnswers(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	keep := &function.Answer{Status: 200, Body: []byte("its own"), Size: 7}
	for name, c := range map[string]struct {
		attempts int
		do       func(k *keyed)
		want     string // "" = nothing yet
	}{
		"late, beside another":         {2, func(k *keyed) { k.leave(); k.end(ok("late"), nil) }, "late"},
		"late, and another later":      {2, func(k *keyed) { k.leave(); k.end(ok("late"), nil); k.end(ok("later"), nil) }, "late"},
		"known when the client leaves": {2, func(k *keyed) { k.end(ok("early"), nil); k.leave() }, "early"},
		"its own, and a late one":      {1, func(k *keyed) { _ = k.finish(keep); k.leave(); k.end(ok("late"), nil) }, "its own"},
		"none so far":                  {2, func(k *keyed) { k.leave(); k.end(bad(503), nil) }, ""},
	} {
		r := idempotency.Request{Key: idempotency.DigestOf(name), Fingerprint: idempotency.DigestOf("f"), Bound: time.Hour}
		e, err := n.keys.Enter(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		k := &keyed{g: n.Gateway, claim: e.Claim, keep: time.Hour, request: httptest.NewRequest("POST", "/x", http.NoBody)}
		for range c.attempts {
			if err := k.begin(); err != nil {
				t.Fatal(err)
			}
		}
		c.do(k)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got, err := n.keys.Enter(ctx, r)
		cancel()
		switch {
		case c.want == "" && !errors.Is(err, idempotency.ErrBusy):
			t.Errorf("%s: who comes again gets %+v, %v; want that it is being run", name, got, err)
		case c.want != "" && (err != nil || got.Answer == nil || string(got.Answer.Body) != c.want):
			t.Errorf("%s: who comes again gets %+v, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestAnAnswerIsGatheredAsItIsWritten(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	begin := func(key string) (*onceAnswer, *httptest.ResponseRecorder) {
		e, err := n.keys.Enter(t.Context(), idempotency.Request{Key: idempotency.DigestOf(key), Bound: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		return newOnceAnswer(&exchange{ResponseWriter: w}, &keyed{g: n.Gateway, claim: e.Claim, keep: time.Hour, request: httptest.NewRequest("POST", "/x", http.NoBody)}), w
	}
	a, w := begin("interim")
	a.WriteHeader(103)
	a.WriteHeader(201)
	if err := a.finish(nil); err != nil || w.Code != 201 {
		t.Errorf("behind an interim answer: %d, %v, want 201", w.Code, err)
	}
	a, _ = begin("silent")
	if err := a.finish(nil); err != nil || a.status != 200 {
		t.Errorf("of who writes nothing: %d, %v, want 200", a.status, err)
	}
	x := &exchange{ResponseWriter: httptest.NewRecorder(), kind: "route", start: time.Unix(1, 0), slow: time.Hour}
	a = newOnceAnswer(x, &keyed{left: true, settled: true})
	if a.own.kind != x.kind || a.own.start != x.start || a.own.slow != x.slow {
		t.Errorf("what runs the request knows %q, %v, %v of it", a.own.kind, a.own.start, a.own.slow)
	}
	a.own.outcome, a.own.substitute, a.own.own = function.Failed, true, true
	if err := a.finish(nil); err != nil || x.outcome != function.Failed || !x.substitute || !x.own {
		t.Errorf("what came of it is %v, %v, %v: %v", x.outcome, x.substitute, x.own, err)
	}
	a, w = begin("failing")
	a.Header().Set("Retry-After", "7")
	if err := a.finish(fault.New(fault.Exhausted, "no room")); fault.KindOf(err) != fault.Exhausted || w.Header().Get("Retry-After") != "7" {
		t.Errorf("of who refuses: %v with %v, want when to come again", err, w.Header())
	}
}

func TestAnAnswerIsKeptWithoutWhatIsOfOneExchange(t *testing.T) {
	h := http.Header{"Content-Type": {"text/x"}, "Location": {"/o"}}
	for _, name := range []string{runHeader, "Set-Cookie", "Content-Length", http.CanonicalHeaderKey(function.HeaderReplayed), http.TrailerPrefix + "Sum", "Connection"} {
		h[name] = []string{"x"}
	}
	if a := storedAnswer(200, h, nil, 0); len(a.Header) != 2 || a.Header.Get("Content-Type") != "text/x" || a.Header.Get("Location") != "/o" {
		t.Errorf("%v is kept, want what the function says of the answer", a.Header)
	}
}

func TestWhatIsGivenAgainSaysNoMoreThanTheFunctionDid(t *testing.T) {
	n := start(t, says("x"))
	for _, c := range []struct {
		status int
		body   string
		length []string
	}{{200, "<p>", []string{"3"}}, {204, "", nil}, {304, "", nil}} {
		w := httptest.NewRecorder()
		e := &idempotency.Entered{Run: "r", Answer: &function.Answer{Status: c.status, Header: http.Header{}, Body: []byte(c.body), Size: int64(len(c.body))}}
		if err := (&once{g: n.Gateway}).again(&exchange{ResponseWriter: w}, e); err != nil {
			t.Fatal(err)
		}
		h := w.Header()
		kind, said := h["Content-Type"] // nobody guesses where it is there and says nothing
		if w.Code != c.status || !said || kind != nil || !slices.Equal(h["Content-Length"], c.length) {
			t.Errorf("%d %q is given again as %d with %v", c.status, c.body, w.Code, h)
		}
	}
}
