package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

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
		b.turn(b.circuit.Open)
		b.turn(b.circuit.Close)
	}
	if waiting := len(n.news.queue); waiting > newsAtOnce {
		t.Errorf("%d events wait, want %d at most", waiting, newsAtOnce)
	}
	if untold := b.untold.Load(); untold != 2000-newsAtOnce {
		t.Errorf("%d changes are not told of, want the others", untold)
	}
}

func TestAPermitThatIsTakenWhileABreakerChangesComesBack(t *testing.T) {
	n := start(t, says("x"))
	breaking(n, nil)
	b := newBreaker(n.Gateway, n.catalog.View().Routes()[0].Trigger)
	ask := func(inside chan<- struct{}, until <-chan struct{}) error {
		r, err := http.NewRequest("GET", n.url+"/x", nil)
		if err != nil {
			return err
		}
		return b.policy(&exchange{}, &Call{Request: r}, func(x *exchange, _ *Call) error {
			close(inside)
			<-until
			x.status = 200
			return nil
		})
	}
	var others sync.WaitGroup
	done, release := make(chan struct{}), make(chan struct{})
	close(done)
	// Between the change and the word of it, another request comes.
	b.circuit = circuitbreaker.NewBuilder[any]().WithDelay(time.Nanosecond).WithSuccessThreshold(1).OnStateChanged(b.changed).
		OnHalfOpen(func(circuitbreaker.StateChangedEvent) {
			inside := make(chan struct{})
			others.Go(func() { _ = ask(inside, release) }) // it is let in, or refused
			if b.mu.TryLock() {                            // else it has to wait
				b.mu.Unlock()
				<-inside
			}
		}).Build()
	b.turn(b.circuit.Open)
	_ = ask(make(chan struct{}), done)
	close(release)
	others.Wait()
	if err := ask(make(chan struct{}), done); err != nil {
		t.Errorf("when all that was asked has succeeded the answer is %v", err)
	}
}
