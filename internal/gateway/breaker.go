package gateway

import (
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
	circuit         circuitbreaker.CircuitBreaker[any]
	news            *rate.Limiter // of events
	untold          atomic.Int64  // changes since the last event
	changes         atomic.Int64  // all
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
	if !b.circuit.TryAcquirePermit() {
		b.g.metrics.breakerRefused.Inc()
		return b.refusal()
	}
	begun, ended := b.changes.Load(), false
	defer func() { // also of an answer that breaks off
		gone := c.Request.Context().Err() != nil
		switch {
		case b.changes.Load() != begun: // what was asked before says nothing of the function now
		case gone && b.circuit.IsClosed(): // a client that leaves says nothing of the function
		case !ended || gone || failed(x.status, err):
			b.circuit.RecordFailure()
		default:
			b.circuit.RecordSuccess()
		}
	}()
	err = next(x, c)
	ended = true
	return err
}

// refusal is the answer while the circuit is open, or is being tried.
func (b *breaker) refusal() error {
	return &openCircuit{fault.New(fault.Unavailable, "the function has failed too often, and is left alone for a while").
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
