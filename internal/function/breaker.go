package function

import "time"

// Breaker stops giving requests to a function that fails: the circuit is open then, and after a while some requests try it again.
type Breaker struct {
	Failures int      `json:"failures"` // within Window open the circuit
	Window   Duration `json:"window"`
	Open     Duration `json:"open"`     // how long nothing is tried
	HalfOpen int      `json:"halfOpen"` // requests that then have to succeed, one after another
}

// BreakerState is a state of a route's circuit.
type BreakerState string

// The states of a circuit.
const (
	BreakerClosed   BreakerState = "closed" // requests go through
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half-open"
)

// BreakerChanged is the data of event.TypeBreakerOpened, TypeBreakerHalfOpened and TypeBreakerClosed: what became of a route's circuit on one node.
type BreakerChanged struct {
	Function string       `json:"function"`
	Route    string       `json:"route"`
	State    BreakerState `json:"state"`
	Before   BreakerState `json:"before"`
	Failures int          `json:"failures"`         // that were counted before
	Untold   int          `json:"untold,omitempty"` // changes before this one of which there is no event, because there were too many
}

func defaultBreaker() Breaker {
	return Breaker{Failures: 5, Window: Duration(10 * time.Second), Open: Duration(5 * time.Second), HalfOpen: 1}
}

func breakerValue() value[Breaker] {
	return object(nil,
		field("failures", "So many answers of 500 and above, or none in time, open the circuit. Default: 5.", whole(), func(b *Breaker) *int { return &b.Failures }),
		field("window", "Within so long. Default: 10s.", duration(), func(b *Breaker) *Duration { return &b.Window }),
		field("open", "How long requests are refused then. Default: 5s.", duration(), func(b *Breaker) *Duration { return &b.Open }),
		field("halfOpen", "So many requests try the function after that; when all have succeeded the circuit closes, when one fails it opens again. Default: 1.", whole(), func(b *Breaker) *int { return &b.HalfOpen }),
	)
}

func (c *checker) breaker(at string, b *Breaker) {
	if b == nil {
		return
	}
	between(c.at(at+".failures"), b.Failures, 1, 1_000_000)
	between(c.at(at+".window"), b.Window, Duration(100*time.Millisecond), Duration(24*time.Hour))
	between(c.at(at+".open"), b.Open, Duration(100*time.Millisecond), Duration(24*time.Hour))
	between(c.at(at+".halfOpen"), b.HalfOpen, 1, 1000)
}
