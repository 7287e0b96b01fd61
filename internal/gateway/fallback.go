package gateway

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// fallback answers in place of an error: of dalamb's own, or an answer of 500 and above.
type fallback struct {
	g    *Gateway
	rule *function.Fallback
}

// What answered, for metrics.
const (
	fallbackStatic   = "static"
	fallbackFunction = "function"
	fallbackFailed   = "failed"
)

func (f *fallback) policy(x *exchange, c *Call, next handler) error {
	free, err := f.g.receive(x, c)
	defer free()
	if err != nil {
		return err
	}
	asks, first := f.rule.Function != "", c
	switch {
	case asks && c.upload != nil: // a body that comes once is the first function's
		return next(x, c)
	case asks:
		c.ID = cmp.Or(c.ID, event.NewID())
		first = c.first()
	}
	done, err := f.g.try(x, first, next, func(own *exchange) bool { return !failed(own.status, nil) })
	if done || err != nil && !failed(0, err) {
		return err
	}
	x.substitute = true
	if asks {
		return f.ask(x, c, first.answerer())
	}
	f.g.metrics.fallbacks.WithLabelValues(fallbackStatic).Inc()
	f.answer(x, c.Request)
	return nil
}

// answer gives what stands in the manifest.
func (f *fallback) answer(x *exchange, r *http.Request) {
	h, body := x.Header(), []byte(f.rule.Body)
	status := cmp.Or(f.rule.Status, http.StatusOK)
	if len(body) > 0 {
		h["Content-Type"] = []string{cmp.Or(f.rule.Type, contentType(body))}
	}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = x.Write(body) // a client that is gone cannot be told
	}
}

// ask lets the other function answer. What it says is the answer, an error too: there is no fallback of a fallback.
func (f *fallback) ask(x *exchange, c *Call, failing answerer) error {
	other := c.first()
	if x.outcome != "" { // the first function was asked, and its record is that of the run
		other = c.again()
	}
	other.record = c.recorded()
	other.Function, other.Trigger, other.wait, other.keyed = f.rule.Function, nil, 0, nil
	err := f.g.serveCall(x, *other, false)
	if fault.KindOf(err) == fault.NotFound {
		err = fault.New(fault.Unavailable, "%s has failed, and its fallback is not there: %w", failing, err)
	}
	answer := fallbackFunction
	if failed(x.status, err) {
		answer = fallbackFailed
	}
	f.g.metrics.fallbacks.WithLabelValues(answer).Inc()
	return err
}
