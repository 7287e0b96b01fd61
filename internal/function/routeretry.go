package function

import (
	"fmt"
	"slices"
	"time"
)

// RouteRetry says when a request is given to the function again before the client is answered.
type RouteRetry struct {
	Attempts int       `json:"attempts"` // the first one included
	On       []RetryIf `json:"on,omitempty"`
	Backoff  Duration  `json:"backoff"` // the longest wait before the second attempt; doubles with each
	Budget   Percent   `json:"budget"`  // of the route's requests, at most
}

// RetryIf is a reason to try again.
type RetryIf string

// Values of RouteRetry.On.
const (
	RetryConnect RetryIf = "connect" // no instance has taken the request
	RetryTimeout RetryIf = "timeout" // the route's timeout, or the function's own
	Retry500     RetryIf = "500"     // the function's answer
	Retry502     RetryIf = "502"     // that too, or it has failed
	Retry503     RetryIf = "503"
	Retry504     RetryIf = "504"
)

func retryIfs() []RetryIf {
	return []RetryIf{RetryConnect, RetryTimeout, Retry500, Retry502, Retry503, Retry504}
}

// DefaultRetryOn holds where RouteRetry.On is empty.
func DefaultRetryOn() []RetryIf { return []RetryIf{RetryConnect, RetryTimeout, Retry502, Retry503} }

func defaultRouteRetry() RouteRetry {
	return RouteRetry{Attempts: 3, Backoff: Duration(50 * time.Millisecond), Budget: 10}
}

func routeRetryValue() value[RouteRetry] {
	return object(nil,
		field("attempts", "The first one included, at most 10. Default: 3.", whole(), func(r *RouteRetry) *int { return &r.Attempts }),
		field("on", "When to try again: no instance took the request (connect), a time was over (timeout), or a status. Default: [connect, timeout, 502, 503].", list(retryIf(), none[RetryIf]), func(r *RouteRetry) *[]RetryIf { return &r.On }),
		field("backoff", "The longest wait before the second attempt; it doubles with each, up to 5s. Default: 50ms.", duration(), func(r *RouteRetry) *Duration { return &r.Backoff }),
		field("budget", "How many of the route's requests in the last 10s may be repeated; 10 always may. Default: 10%.", percent(), func(r *RouteRetry) *Percent { return &r.Budget }),
	)
}

// retryIf is a word or a status, which YAML takes for a number.
func retryIf() value[RetryIf] {
	schema := map[string]any{"type": []string{"string", "integer"}, "examples": retryIfs()}
	return scalar("a word or a status", schema, func(s string, into *RetryIf) error { *into = RetryIf(s); return nil }, "!!str", "!!int")
}

func (c *checker) routeRetry(at string, r *RouteRetry) {
	if r == nil {
		return
	}
	between(c.at(at+".attempts"), r.Attempts, 2, 10)
	between(c.at(at+".backoff"), r.Backoff, 0, Duration(5*time.Second))
	between(c.at(at+".budget"), float64(r.Budget), 0.1, 100)
	for i, on := range r.On {
		oneOf(c, fmt.Sprintf("%s.on[%d]", at, i), on, retryIfs())
		if slices.Contains(r.On[:i], on) {
			c.add(fmt.Sprintf("%s.on[%d]", at, i), "remove it", "%q is there twice", clip(string(on)))
		}
	}
}
