package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

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

func TestAFallbackGetsNoTokenOfTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		auth  *function.Auth
		first func(fleet.Call) (*function.Result, error)
		want  string
	}{
		"after an answer":            {testToken, nil, gives(bad(500)), ""},
		"where nothing has answered": {testToken, nil, refuses(fault.New(fault.Exhausted, "full")), ""},
		"one that was given out":     {"given-out", &function.Auth{Token: &function.TokenAuth{Names: []string{"ann"}}}, gives(bad(500)), ""},
		"the client's own":           {"mine", nil, gives(bad(500)), "Bearer mine"},
	} {
		t.Run(name, func(t *testing.T) {
			f := inTurn(c.first, gives(ok("standing in")))
			n := start(t, f)
			n.giveToken("ann", "given-out")
			n.deploy("f", enduring("", func(r *function.Route) { r.Auth, r.Fallback = c.auth, &function.Fallback{Function: "g"} }))
			if g := n.send("GET", "/x", "", "Authorization", "Bearer "+c.token); g.body != "standing in" {
				t.Fatalf("answer = %d %s, want the fallback's", g.status, g.body)
			}
			for range 2 {
				if call := <-f.seen; call.Invocation.Request.Header.Get("Authorization") != c.want {
					t.Errorf("%s got %q, want %q", call.Function, call.Invocation.Request.Header.Get("Authorization"), c.want)
				}
			}
		})
	}
}

func TestAFallbackForAnOpenBreakerGetsNoTokenOfTheNode(t *testing.T) {
	f := inTurn(gives(bad(500)))
	n := start(t, f)
	breaking(n, func(r *function.Route) {
		r.Breaker.Open = function.Duration(time.Hour)
		r.Fallback = &function.Fallback{Function: "g"}
	})
	for range 4 {
		n.send("GET", "/x", "")
	}
	for range 3 + 4 { // the breaker opens at the third failure
		if call := <-f.seen; call.Invocation.Request.Header["Authorization"] != nil {
			t.Errorf("%s got %q", call.Function, call.Invocation.Request.Header["Authorization"])
		}
	}
}

// TestAFallbackIsRecordedAsItsRouteWants: it is given what the client has sent, of which the route wants nothing to stay.
func TestAFallbackIsRecordedAsItsRouteWants(t *testing.T) {
	f := inTurn(gives(bad(500)), gives(ok("x")))
	n := start(t, f)
	n.deploy("f", enduring("", func(r *function.Route) {
		r.Fallback, r.Record = &function.Fallback{Function: "g"}, function.RecordMeta
	}))
	if g := n.send("POST", "/x", "secret"); g.status != 200 {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	for _, r := range n.requests(2) {
		if r.Body != nil || r.Answer != nil {
			t.Errorf("the record of %s has %q and %q, want no bodies", r.Function, r.Body, r.Answer)
		}
	}
}
