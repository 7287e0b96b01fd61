package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// TestOnlySoManyAreUnderWay fills the slots and the queue, before anybody is asked who he is.
func TestOnlySoManyAreUnderWay(t *testing.T) {
	begun, free := make(chan struct{}), make(chan struct{})
	n := start(t, script(func(context.Context, fleet.Call) (*function.Result, error) {
		begun <- struct{}{}
		<-free
		return &function.Result{Outcome: function.Succeeded, Status: 200}, nil
	}))
	web := route("web", "", "/x")
	web.Route.Concurrency = &function.RouteConcurrency{Max: 1, Queue: 1, Wait: function.Duration(time.Minute)}
	n.deploy("f", web)
	done := make(chan got, 2)
	send := func() { done <- n.send("POST", "/x", "abc") }
	go send()
	<-begun
	go send()
	waiting(n, 1)
	g := n.send("POST", "/x", "abc")
	if f := g.fault(t); g.status != 503 || g.header.Get("Retry-After") != "1" || f.Kind != "exhausted" {
		t.Errorf("with a full queue: %d %+v, want 503 and Retry-After", g.status, f)
	}
	if g := n.send("GET", "/_/health", ""); g.status != 200 {
		t.Errorf("the health of the node: %d, want 200 whatever the load", g.status)
	}
	free <- struct{}{}
	<-begun
	free <- struct{}{}
	for range 2 {
		if g := <-done; g.status != 200 {
			t.Errorf("who was let in, and who waited: %d %s, want 200", g.status, g.body)
		}
	}
	if got := n.metric("dalamb_gateway_crowded_total"); got != 1 || strings.Contains(n.said.String(), "request refused") {
		t.Errorf("counted %v refusals, log %s; want 1, and none logged", got, n.said)
	}
}

// TestAClientThatStallsHoldsNoSlot: only what the function can work on is counted.
func TestAClientThatStallsHoldsNoSlot(t *testing.T) {
	n := start(t, says("done"))
	web := route("web", "", "/x")
	web.Route.Concurrency = &function.RouteConcurrency{Max: 1}
	n.deploy("f", web)
	if g := n.send("GET", "/x", ""); g.status != 200 {
		t.Fatalf("the first request = %d %s", g.status, g.body)
	}
	stalling, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stalling.Close()
	if _, err := io.WriteString(stalling, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab"); err != nil {
		t.Fatal(err)
	}
	n.until(func() bool { return n.held.used.Load() > 0 }) // the gateway waits for the rest
	for range 3 {
		if g := n.send("POST", "/x", "abc"); g.status != 200 {
			t.Errorf("beside a client that stalls: %d %s, want 200", g.status, g.body)
		}
	}
	if _, err := io.WriteString(stalling, "cd"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(stalling), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("when its body is whole: %v, %v; want 200", resp, err)
	}
}

// waiting returns when so many requests wait for a slot of the node's one route.
func waiting(n *node, want int) {
	n.t.Helper()
	for state := range slotsOf(n) {
		n.until(func() bool { return state.queued() == want })
	}
}

func slotsOf(n *node) map[*slots]bool {
	all := map[*slots]bool{}
	for _, state := range n.routes.Load().shelf.now {
		if s, is := state.(*slots); is {
			all[s] = true
		}
	}
	return all
}

func (s *slots) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.Len()
}

func slotted(rule function.RouteConcurrency) *slots {
	m, err := newMetrics(nil)
	if err != nil {
		panic(err)
	}
	return newSlots(&catalog.Trigger{Function: "f", Trigger: function.Trigger{Name: "web", Route: &function.Route{Concurrency: &rule}}}, &Gateway{metrics: m, now: time.Now})
}

// through sends one request through the slots to next.
func through(ctx context.Context, s *slots, next handler) error {
	r := httptest.NewRequestWithContext(ctx, "GET", "/x", http.NoBody)
	return s.policy(&exchange{ResponseWriter: httptest.NewRecorder()}, &Call{Request: r}, next)
}

func TestWhoWaitsTooLongIsRefused(t *testing.T) {
	for _, adaptive := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := slotted(function.RouteConcurrency{Max: 1, Queue: 2, Wait: function.Duration(2 * time.Second), Adaptive: adaptive})
			take := func(d time.Duration) handler {
				return func(*exchange, *Call) error { time.Sleep(d); return nil }
			}
			var all sync.WaitGroup
			all.Go(func() {
				if err := through(t.Context(), s, take(5*time.Second)); err != nil {
					t.Errorf("the first: %v", err)
				}
			})
			synctest.Wait()
			began := time.Now()
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := through(ctx, s, take(0)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errCrowded) {
					t.Errorf("a client that went away: %v", err)
				}
			})
			err := through(t.Context(), s, take(0))
			if took := time.Since(began); !errors.Is(err, errCrowded) || took != 2*time.Second || !strings.Contains(err.Error(), "none has ended in 2s") {
				t.Errorf("after %v: %v, want a refusal after 2s", took, err)
			}
			all.Wait()
			if err := through(t.Context(), s, take(0)); err != nil || s.queued() != 0 {
				t.Errorf("afterwards: %v, %d wait; want all as it was", err, s.queued())
			}
		})
	}
}

// TestASlotComesBackWhateverHappens: also when an answer is cut off.
func TestASlotComesBackWhateverHappens(t *testing.T) {
	for _, adaptive := range []bool{false, true} {
		s := slotted(function.RouteConcurrency{Max: 1, Adaptive: adaptive})
		for name, next := range map[string]handler{
			"cut off":      func(*exchange, *Call) error { panic(http.ErrAbortHandler) },
			"failed":       func(*exchange, *Call) error { return errSlow },
			"answered":     func(x *exchange, _ *Call) error { x.WriteHeader(200); return nil },
			"out of order": func(x *exchange, _ *Call) error { x.WriteHeader(502); return nil },
		} {
			func() {
				defer func() { _ = recover() }()
				if err := through(t.Context(), s, next); errors.Is(err, errCrowded) {
					t.Errorf("adaptive %v, %s: %v, want a free slot", adaptive, name, err)
				}
			}()
		}
	}
}

// thrash is a function that answers 8 requests at a time in 100 ms each, and all of them the slower the more are given to it: at 40 a ninth of what it
// can do at its best is left.
type thrash struct {
	mu     sync.Mutex
	inside int
}

func (f *thrash) serve(*exchange, *Call) error {
	f.mu.Lock()
	f.inside++
	crowd := f.inside
	f.mu.Unlock()
	over := max(0, float64(crowd-8)/8)
	time.Sleep(time.Duration(float64(100*time.Millisecond) * (1 + over + 2*over*over)))
	f.mu.Lock()
	f.inside--
	f.mu.Unlock()
	return nil
}

// send sends so many requests a second for a while, in a synctest bubble, and gives how many a second were answered within a second, and the time
// within which 99 of 100 answers came.
func (f *thrash) send(t *testing.T, s *slots, rate int, lasts time.Duration) (good float64, p99 time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for range int(lasts.Seconds()) * rate {
		time.Sleep(time.Second / time.Duration(rate))
		all.Go(func() {
			at := time.Now()
			if err := through(t.Context(), s, f.serve); err == nil {
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(at))
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	in, _ := slices.BinarySearch(took, time.Second)
	return float64(in) / lasts.Seconds(), took[len(took)*99/100]
}

// TestOverload: at five times of what a function can do, more than four fifths of that is done, and who is let in does not wait for long. Without a
// bound hardly anybody has an answer in time.
func TestOverload(t *testing.T) {
	const best = 80
	for _, c := range []struct {
		name string
		rule function.RouteConcurrency
		good bool
	}{
		{"adaptive", function.RouteConcurrency{Max: 200, Adaptive: true}, true},
		{"adaptive, with a queue", function.RouteConcurrency{Max: 200, Adaptive: true, Queue: 8, Wait: function.Duration(500 * time.Millisecond)}, true},
		{"fixed", function.RouteConcurrency{Max: 8, Queue: 8, Wait: function.Duration(500 * time.Millisecond)}, true},
		{"no bound to speak of", function.RouteConcurrency{Max: 4000}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := slotted(c.rule), &thrash{}
				f.send(t, s, best/2, 30*time.Second)
				good, p99 := f.send(t, s, 5*best, 60*time.Second)
				t.Logf("goodput %.0f/s of %d, p99 %v", good, best, p99)
				if held := good >= best*8/10 && p99 <= time.Second; held != c.good {
					t.Errorf("goodput %.0f/s of %d, p99 %v; want it to hold: %v", good, best, p99, c.good)
				}
			})
		})
	}
}

// TestNoCrowdNoEbb: a function that becomes slower for few clients has room for the many that come later.
func TestNoCrowdNoEbb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slotted(function.RouteConcurrency{Max: 100, Adaptive: true})
		for i := range 400 {
			took := 10 * time.Millisecond
			if i >= 100 {
				took = 30 * time.Millisecond
			}
			if err := through(t.Context(), s, func(*exchange, *Call) error { time.Sleep(took); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.tide.level(); got != tideStart {
			t.Errorf("after one client, for whom answers took longer in the end, %d may be under way, want %d", got, tideStart)
		}
	})
}
