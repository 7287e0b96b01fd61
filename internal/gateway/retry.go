package gateway

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxRetryWait is the longest wait between attempts: a client is waiting, and so is its body in memory.
const maxRetryWait = 5 * time.Second

// retrying gives a request to the function again that has failed, before the client has any answer.
type retrying struct {
	g      *Gateway
	rule   *function.RouteRetry
	on     []function.RetryIf
	budget extras
}

func newRetrying(g *Gateway, rule *function.RouteRetry) *retrying {
	on := rule.On
	if len(on) == 0 {
		on = function.DefaultRetryOn()
	}
	return &retrying{g: g, rule: rule, on: on, budget: extras{part: float64(rule.Budget) / 100}}
}

func (p *retrying) policy(x *exchange, c *Call, next handler) error {
	p.budget.request(p.g.now())
	if !repeatable(c.Request) {
		return next(x, c)
	}
	free, err := p.g.receive(x, c)
	defer free()
	if err != nil {
		return err
	}
	if c.upload != nil { // it comes once
		return next(x, c)
	}
	c.name(x)
	for n, attempt := 1, c.first(); ; n, attempt = n+1, c.again() {
		wait := p.backoff(n)
		done, err := p.g.try(x, attempt, next, func(own *exchange) bool {
			asked := retryAfterOf(own.Header())
			wait = max(wait, asked)
			return asked > maxRetryWait || !p.wants(own.status, own.outcome, n)
		})
		if done || err != nil && (hasRun(err) || !p.wants(statusOf(fault.KindOf(err), err), x.outcome, n)) {
			return err
		}
		if err := pause(c.Request, wait); err != nil {
			return err
		}
	}
}

// wants says whether attempt n, with this status, is followed by another one, which the budget then has paid for.
func (p *retrying) wants(status int, outcome function.Outcome, n int) bool {
	if n >= p.rule.Attempts || !slices.ContainsFunc(p.on, func(on function.RetryIf) bool { return fits(on, status, outcome) }) {
		return false
	}
	if !p.budget.take(p.g.now()) {
		p.g.metrics.retries.WithLabelValues(extraRefused).Inc()
		return false
	}
	p.g.metrics.retries.WithLabelValues(extraMade).Inc()
	return true
}

// fits says whether a reason to try again is there.
func fits(on function.RetryIf, status int, outcome function.Outcome) bool {
	switch on {
	case function.RetryConnect:
		return outcome == function.InitError
	case function.RetryTimeout:
		return outcome == function.TimedOut
	}
	return strconv.Itoa(status) == string(on)
}

// backoff is the wait behind attempt n: any part of what has doubled with each, so that clients that failed together do not come back together.
func (p *retrying) backoff(n int) time.Duration {
	most := min(p.rule.Backoff.Std()<<(n-1), maxRetryWait)
	return time.Duration(rand.Int64N(int64(most) + 1))
}

// repeatable says whether a request may reach the function twice: by its method, or because the function can know it again by a key.
func repeatable(r *http.Request) bool {
	if function.IdempotentMethod(r.Method) {
		return true
	}
	key, err := idempotencyKeyOf(r.Header)
	return err == nil && key != ""
}

// retryAfterOf is how long a failed function asks to wait, in seconds. RFC 9110, section 10.2.3; 0 = it does not say, or gives a date.
func retryAfterOf(h http.Header) time.Duration {
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, int(time.Hour/time.Second))) * time.Second
}

// pause waits, as long as the client does.
func pause(r *http.Request, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
	if err := r.Context().Err(); err != nil {
		return fault.New(fault.Unavailable, "wait for another attempt: %w", err)
	}
	return nil
}
