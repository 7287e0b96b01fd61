package gateway

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// enduring is a route that a function may fail behind.
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

// allPolicies gives a route every policy for functions that fail, none of which has a reason to act.
func allPolicies(r *function.Route) {
	r.Timeout = &function.RouteTimeout{Connect: 60e9, FirstByte: 60e9, Total: 120e9}
	r.Retry = &function.RouteRetry{Attempts: 3, Budget: 100}
	r.Breaker = &function.Breaker{Failures: 1, Window: 1e9, Open: 60e9, HalfOpen: 1}
	r.Fallback = &function.Fallback{Body: "a fallback"}
	if r.Method == "GET" {
		r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 60e9}, Budget: 100}
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
	n.holdsNothing(t)
	if answered.Load() < 100 {
		t.Errorf("%d were answered, %d cut off", answered.Load(), cut.Load())
	}
}

// TestEachAttemptOfARunHasANumberOfItsOwn: whichever policy has asked for it.
func TestEachAttemptOfARunHasANumberOfItsOwn(t *testing.T) {
	twice := make(chan struct{}, 100) // one for each second attempt of a hedge
	slow := func(fleet.Call) (*function.Result, error) {
		<-twice
		return bad(503), nil
	}
	beside := func(fleet.Call) (*function.Result, error) {
		twice <- struct{}{}
		return bad(503), nil
	}
	f := inTurn(slow, beside, slow, beside, gives(ok("standing in")))
	n := start(t, f)
	n.deploy("f", enduring("GET", func(r *function.Route) {
		r.Retry = &function.RouteRetry{Attempts: 2, Backoff: 1e5, Budget: 100}
		r.Hedge = &function.Hedge{After: function.HedgeAfter{Time: 1e6}, Budget: 100}
		r.Fallback = &function.Fallback{Function: "g"}
	}))
	g := n.send("GET", "/x", "")
	if g.status != 200 || g.body != "standing in" {
		t.Fatalf("answer = %d %s, want the fallback's", g.status, g.body)
	}
	var got []int
	for _, q := range n.requests(5) {
		if q.ID == g.header.Get(runHeader) {
			q.Run, q.Attempt = q.ID, 1
		}
		if q.Run != g.header.Get(runHeader) {
			t.Errorf("an attempt is of the run %s, want %s", q.Run, g.header.Get(runHeader))
		}
		got = append(got, q.Attempt)
	}
	slices.Sort(got)
	if want := []int{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("the attempts are numbered %v, want %v", got, want)
	}
}
