package gateway

import (
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// patience is how long a client waits. When it is over the client is told so, and the function goes on. A connection that the function was given
// lasts as long as it uses it.
type patience struct {
	g                         *Gateway
	connect, firstByte, total time.Duration // 0 = no bound
}

func (p *patience) policy(x *exchange, c *Call, next handler) error {
	c.wait = p.connect
	if p.firstByte == 0 && p.total == 0 {
		return next(x, c)
	}
	begin := time.Now()
	free, err := p.g.receive(x, c)
	defer free()
	if err != nil {
		return err
	}
	c.name(x)
	asked := time.Now() // a client that takes long to send its body is not the function's fault
	r := p.g.start(x, c, next, nil)
	first, stopFirst := after(asked, p.firstByte)
	defer stopFirst()
	total, stopTotal := after(begin, p.total)
	defer stopTotal()
	for {
		select {
		case <-r.ended:
			_, err := r.settle(r.err)
			return err
		case <-first:
			if r.leave() {
				return p.over(x, c, timeFirstByte, p.firstByte)
			}
		case <-total:
			if r.leave() {
				return p.over(x, c, timeTotal, p.total)
			}
			if r.whose.Load() == handed {
				total = nil
				continue
			}
			p.g.metrics.timeouts.WithLabelValues(timeTotal).Inc()
			r.breakOff()
		}
	}
}

func (p *patience) over(x *exchange, c *Call, which string, after time.Duration) error {
	x.outcome = function.TimedOut
	p.g.metrics.timeouts.WithLabelValues(which).Inc()
	return overdue(which, c.answerer(), after, nil)
}

// after is when a time is over that began then; 0 = never.
func after(begin time.Time, d time.Duration) (over <-chan time.Time, stop func() bool) {
	if d == 0 {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(time.Until(begin.Add(d)))
	return t.C, t.Stop
}
