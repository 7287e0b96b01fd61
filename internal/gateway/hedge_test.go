package gateway

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

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

func TestAHedgeBeginsWithWhatTheRequestHadAndNotWithTheFirstAnswer(t *testing.T) {
	n := start(t, says("x"))
	x := &exchange{ResponseWriter: httptest.NewRecorder()}
	r := &inDoubt{h: newHedging(n.Gateway, &function.Hedge{Budget: 100}), header: http.Header{"X-Policy": {"p"}}, left: 1}
	begun, end := make(chan struct{}), make(chan struct{})
	r.next = func(x *exchange, _ *Call) error {
		x.Header().Set("X-Function", "first")
		x.WriteHeader(200)
		close(begun)
		<-end
		return nil
	}
	r.left++ // as of a hedge that was decided on before the first answer came
	first := r.start(x, &Call{})
	<-begun
	r.next = func(*exchange, *Call) error { return nil }
	second := r.start(x, &Call{})
	if h := second.header; h.Get("X-Policy") != "p" || h.Get("X-Function") != "" {
		t.Errorf("the second attempt begins with %v, want the request's own", h)
	}
	close(end)
	if err := r.await(first, second); err != nil || x.Header().Get("X-Function") != "first" {
		t.Errorf("the answer is %v, %v; want the first one's", x.Header(), err)
	}
}
