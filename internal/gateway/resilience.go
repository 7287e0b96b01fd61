package gateway

import (
	"cmp"
	"net/http"
	"sync/atomic"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// resilience are the stages of a route whose function may fail, be slow or not be there, the outermost first.
func (g *Gateway) resilience(t *catalog.Trigger, s *shelf) []policy {
	r := t.Route
	var stages []policy
	if r.Fallback != nil {
		stages = append(stages, (&fallback{g, r.Fallback}).policy)
	}
	if r.Upstream != nil { // a fallback's function is asked as ever
		stages = append(stages, toUpstream(g.upstreams(t)))
	}
	if r.Breaker != nil {
		stages = append(stages, keep(s, t, "breaker", []any{r.Breaker, r.Upstream}, func() *breaker { return newBreaker(g, t) }).policy)
	}
	timeout := function.RouteTimeout{}
	if r.Timeout != nil {
		timeout = *r.Timeout
	}
	each := &patience{g: g, connect: timeout.Connect.Std(), firstByte: timeout.FirstByte.Std(), total: timeout.Total.Std()}
	if r.Retry != nil || r.Hedge != nil {
		if timeout.Total != 0 {
			stages = append(stages, (&patience{g: g, total: each.total}).policy)
		}
		each.total = 0
	}
	if r.Retry != nil {
		stages = append(stages, keep(s, t, "retry", r.Retry, func() *retrying { return newRetrying(g, r.Retry) }).policy)
	}
	if r.Hedge != nil {
		stages = append(stages, keep(s, t, "hedge", r.Hedge, func() *hedging { return newHedging(g, r.Hedge) }).policy)
	}
	if *each != (patience{g: g}) {
		stages = append(stages, each.policy)
	}
	return stages
}

// failed says whether what came of a call is dalamb's or the function's fault, rather than an answer.
func failed(status int, err error) bool {
	if err != nil {
		status = statusOf(fault.KindOf(err), err)
	}
	return status >= http.StatusInternalServerError
}

// first is a copy of a call, of which the body was received, for its first attempt: attempts may run at the same time, and each changes its request.
func (c *Call) first() *Call {
	if c.made == nil {
		c.made = &atomic.Int64{}
		c.made.Store(1)
	}
	c.trace = c.trace.of(c.Request.Header)
	d := *c
	d.Request = c.Request.Clone(c.Request.Context())
	if c.whole {
		d.Request.Body = newMemory(c.Body)
	}
	return &d
}

// again is one for a further attempt: the next of its run, whichever policy has asked for those before.
func (c *Call) again() *Call {
	d := c.first()
	d.ID, d.Run, d.Attempt = event.NewID(), cmp.Or(c.Run, c.ID), int(c.made.Add(1))
	d.trace = c.trace.again()
	return d
}

// name gives a call its ID ahead of its first attempt. The client is told the run.
func (c *Call) name(x *exchange) {
	c.ID = cmp.Or(c.ID, event.NewID())
	x.Header().Set(runHeader, cmp.Or(c.Run, c.ID))
}
