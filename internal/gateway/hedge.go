package gateway

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// hedging gives a request that waits for long to a second instance, beside the first. The first good answer is the client's; what the other one
// says is nobody's.
type hedging struct {
	g      *Gateway
	rule   *function.Hedge
	budget extras
	usual  durations
}

func newHedging(g *Gateway, rule *function.Hedge) *hedging {
	return &hedging{g: g, rule: rule, budget: extras{part: float64(rule.Budget) / 100}}
}

func (h *hedging) policy(x *exchange, c *Call, next handler) error {
	h.budget.request(h.g.now())
	if !function.SafeMethod(c.Request.Method) {
		return next(x, c)
	}
	free, err := h.g.receive(x, c)
	defer free()
	if err != nil {
		return err
	}
	if c.upload != nil { // it comes once
		return next(x, c)
	}
	c.name(x)
	r := &inDoubt{h: h, next: next, header: maps.Clone(x.Header()), left: 1}
	first := r.start(x, c.first())
	wait, known := h.after()
	if !known {
		return r.await(first, nil)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-first.ended:
	case <-c.Request.Context().Done():
	case <-t.C:
		if r.another() {
			return r.await(first, r.start(x, c.again()))
		}
	}
	return r.await(first, nil)
}

// after is when a second attempt begins; false = not enough is known of how long answers take.
func (h *hedging) after() (time.Duration, bool) {
	if p := h.rule.After.Percentile; p != 0 {
		return h.usual.percentile(p)
	}
	return h.rule.After.Time.Std(), true
}

// may says whether there is a second attempt left, which the budget has paid for then.
func (h *hedging) may() bool {
	if !h.budget.take(h.g.now()) {
		h.g.metrics.hedges.WithLabelValues(extraRefused).Inc()
		return false
	}
	h.g.metrics.hedges.WithLabelValues(extraMade).Inc()
	return true
}

// inDoubt is one request.
type inDoubt struct {
	h      *hedging
	next   handler
	header http.Header // that the answer of each attempt begins with; the client's own is the first one's as soon as that answers

	mu   sync.Mutex
	left int  // attempts that may still give a good answer
	won  bool // one has
}

func (r *inDoubt) start(x *exchange, c *Call) *running {
	begin := time.Now()
	return r.h.g.startAttempt(newAttempt(x, r.header, func(own *exchange) bool {
		r.h.usual.add(time.Since(begin))
		return r.takes(!failed(own.status, nil))
	}), c, r.next)
}

// takes says whether an attempt's answer is the client's: the first good one, or the last of the bad ones.
func (r *inDoubt) takes(good bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
	if r.won || !good && r.left > 0 {
		return false
	}
	r.won = true
	return true
}

// lost counts an attempt that ended without an answer.
func (r *inDoubt) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left--
}

// another says whether a second attempt begins.
func (r *inDoubt) another() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.won || r.left == 0 {
		return false
	}
	if !r.h.may() {
		return false
	}
	r.left++
	return true
}

// await waits until the client has an answer, or all attempts have failed. second may be nil.
func (r *inDoubt) await(first, second *running) (err error) {
	for first != nil || second != nil {
		var a *running
		select {
		case <-first.over():
			a, first = first, nil
		case <-second.over():
			a, second = second, nil
		}
		done, failed := a.settle(a.err)
		if done {
			return nil
		}
		if failed != nil {
			r.lost()
			err = failed
		}
	}
	return err
}
