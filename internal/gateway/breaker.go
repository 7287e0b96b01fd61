package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"golang.org/x/time/rate"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// breaker is the circuit between a route and a function that fails: while it is open requests are refused at once, and the function has time
// to recover.
type breaker struct {
	g               *Gateway
	function, route string
	news            *rate.Limiter // of events
	untold          atomic.Int64  // changes since the last event

	// mu is held around each use of the circuit that can change it. The circuit lets go of its own lock between a change and the word of it, and
	// who was let in by then would take what it was let in for to be over: its permit would never come back.
	mu      sync.Mutex
	circuit circuitbreaker.CircuitBreaker[any]
	changes int64                     // all
	made    []function.BreakerChanged // that nobody was told of yet
}

// openCircuit says when a client may come again. It is nothing that the node's log has to tell for each request.
type openCircuit struct {
	fault *fault.Error
	wait  time.Duration
}

func (e *openCircuit) Error() string { return e.fault.Error() }
func (e *openCircuit) Unwrap() error { return e.fault }

func newBreaker(g *Gateway, t *catalog.Trigger) *breaker {
	r := t.Route.Breaker
	b := &breaker{g: g, function: t.Function, route: t.Name, news: rate.NewLimiter(newsEvery, newsAtOnce)}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureThresholdPeriod(uint(r.Failures), r.Window.Std()).
		WithDelay(r.Open.Std()).
		WithSuccessThreshold(uint(r.HalfOpen)).
		OnStateChanged(b.changed).
		Build()
	return b
}

func (b *breaker) policy(x *exchange, c *Call, next handler) (err error) {
	let, begun, ended := false, int64(0), false
	b.turn(func() { let, begun = b.circuit.TryAcquirePermit(), b.changes })
	if !let {
		b.g.metrics.breakerRefused.Inc()
		return b.refusal(c.answerer())
	}
	defer b.turn(func() { // also of an answer that breaks off
		gone := c.Request.Context().Err() != nil
		switch {
		case b.changes != begun: // what was asked before says nothing of the function now
		case gone && b.circuit.IsClosed(): // a client that leaves says nothing of the function
		case !ended || gone || failed(x.status, err):
			b.circuit.RecordFailure()
		default:
			b.circuit.RecordSuccess()
		}
	})
	err = next(x, c)
	ended = true
	return err
}

// turn does something to the circuit, and tells what has changed by it when nobody waits for that any more.
func (b *breaker) turn(do func()) {
	b.mu.Lock()
	do()
	made := b.made
	b.made = nil
	b.mu.Unlock()
	for i := range made {
		b.tell(&made[i])
	}
}

// changed is called by the circuit, while mu is held.
func (b *breaker) changed(e circuitbreaker.StateChangedEvent) {
	b.changes++
	b.made = append(b.made, function.BreakerChanged{
		Function: b.function, Route: b.route, State: stateOf(e.NewState), Before: stateOf(e.OldState), Failures: int(e.Metrics().Failures()),
	})
}

// refusal is the answer while the circuit is open, or is being tried.
func (b *breaker) refusal(whose answerer) error {
	return &openCircuit{fault.New(fault.Unavailable, "%s has failed too often, and is left alone for a while", whose).
		WithHint("the route's breaker is %s; try again later", stateOf(b.circuit.State())), max(time.Second, b.circuit.RemainingDelay())}
}

func stateOf(s circuitbreaker.State) function.BreakerState {
	switch s {
	case circuitbreaker.OpenState:
		return function.BreakerOpen
	case circuitbreaker.HalfOpenState:
		return function.BreakerHalfOpen
	}
	return function.BreakerClosed
}
