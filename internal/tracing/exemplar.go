package tracing

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Exemplars are for people who look at a page that is read every few seconds, and one takes as long as ten observations without. So what goes by fast and
// often has fewer of them.
const (
	shownAll   = 100 // in a second: up to so many, each has one
	shownAbove = 64  // above that, one span of so many; a power of two. A bucket keeps its last one alone
	shownSlow  = 100 * time.Millisecond
)

// shown counts exemplars, by the second in which their spans began: the clock was read for that, and is not read again. It may count some too few or too many when a
// second begins, since nobody waits for it.
type shown struct{ second, count atomic.Int64 }

// may says whether a span has an exemplar for something that took so long.
func (x *shown) may(s *Span, took time.Duration) bool {
	if second := s.begun.Unix(); x.second.Load() < second { // spans that last end among those that began after them
		x.second.Store(second)
		x.count.Store(0)
	}
	if x.count.Load() < shownAll {
		x.count.Add(1)
		return true
	}
	return took >= shownSlow || s.own.span[0]%shownAbove == 0
}

// Observe notes how long something of the span took, and which trace shows one that took so long, where that can be found: what is not sampled is
// nowhere. OpenMetrics 1.0, "Exemplars".
func (s *Span) Observe(o prometheus.Observer, took time.Duration) {
	with, can := o.(prometheus.ExemplarObserver)
	if s == nil || !can || !s.own.sampled || !s.tracer.shown.may(s, took) {
		o.Observe(took.Seconds())
		return
	}
	with.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": s.text[traceAt : parentAt-1]})
}
