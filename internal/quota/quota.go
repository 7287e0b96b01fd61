// Package quota owns how often environments do something: calls, and events that are sent to their topics, held to what their quotas allow. Each node counts for
// itself. It does not count what is there: catalog has functions, and fleet instances.
package quota

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Options of New. Of is required.
type Options struct {
	Of      func(environment string) function.Quota // as it is now; cheap
	Now     func() time.Time                        // nil = time.Now
	Metrics prometheus.Registerer                   // nil = counted, not shown
}

// Quotas counts for all environments. Safe for concurrent use.
type Quotas struct {
	of      func(environment string) function.Quota
	now     func() time.Time
	refused *prometheus.CounterVec

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
}

// What is counted, as metrics say it.
const (
	calls  = "calls"
	events = "events"
)

type bucketKey struct{ environment, what string }

// bucket is what an environment has left of one rate. It fills evenly, and has what the rate gives in its second, minute or hour when it is full.
type bucket struct {
	rate  function.Rate
	limit *rate.Limiter
}

// New checks the options and starts nothing.
func New(o Options) (*Quotas, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	q := &Quotas{of: o.Of, now: o.Now, buckets: map[bucketKey]*bucket{}, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_quota_refused_total", Help: "Calls, and requests with events, that an environment's quota has refused on this node.",
	}, []string{"environment", "what"})}
	if o.Metrics == nil {
		return q, nil
	}
	return q, o.Metrics.Register(q.refused)
}

// Call counts a call of a function of an environment. An error is an *Over: the call may not be made now.
func (q *Quotas) Call(environment string) error {
	return q.take(bucketKey{environment, calls}, q.of(environment).Calls, 1)
}

// Send counts events that somebody outside sends to topics of an environment: all of them, or none. Its error is as that of Call. More at once than the rate
// gives are taken when nothing was sent before them for so long, and are owed then.
func (q *Quotas) Send(environment string, n int) error {
	return q.take(bucketKey{environment, events}, q.of(environment).Events, n)
}

// Emitted counts events that functions of an environment have answered with. They are never refused: they may be owed, until when nothing that would
// make more of them begins (Owes), and Send refuses.
func (q *Quotas) Emitted(environment string, n int) {
	allowed := q.of(environment).Events
	if allowed.Count == 0 || n == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bucket(bucketKey{environment, events}, allowed).owe(q.now(), n)
}

// Owes is how long it takes until an environment owes no events; 0 = it owes none. Its quota may change before.
func (q *Quotas) Owes(environment string) time.Duration {
	allowed := q.of(environment).Events
	if allowed.Count == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bucket(bucketKey{environment, events}, allowed).lacks(q.now(), 0)
}

func (q *Quotas) take(key bucketKey, allowed function.Rate, n int) error {
	if allowed.Count == 0 || n == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b, now := q.bucket(key, allowed), q.now()
	if wait := b.lacks(now, n); wait > 0 {
		name := function.EnvironmentName(key.environment)
		q.refused.WithLabelValues(name, key.what).Inc()
		return &Over{fault.New(fault.Exhausted, "environment %s has used up its quota of %s", name, key.what).
			WithHint("it is %s on each node; try again in %s", allowed, wait.Round(time.Millisecond)), wait}
	}
	b.owe(now, n)
	return nil
}

// bucket finds or makes one, by the rate that is allowed now: a new rate begins with a full one. The caller holds mu.
func (q *Quotas) bucket(key bucketKey, allowed function.Rate) *bucket {
	b := q.buckets[key]
	if b == nil || b.rate != allowed {
		b = &bucket{allowed, rate.NewLimiter(rate.Limit(float64(allowed.Count)/allowed.Per.Seconds()), allowed.Count)}
		q.buckets[key] = b
	}
	return b
}

// lacks is in how long n can be taken; 0 = now.
func (b *bucket) lacks(now time.Time, n int) time.Duration {
	missing := float64(min(n, b.rate.Count)) - b.limit.TokensAt(now)
	if missing <= 1e-9 {
		return 0
	}
	return max(time.Millisecond, time.Duration(missing/float64(b.limit.Limit())*float64(time.Second)))
}

// owe takes n, whatever is left.
func (b *bucket) owe(now time.Time, n int) {
	for n > 0 {
		part := min(n, b.rate.Count) // a Limiter gives no more at a time
		b.limit.ReserveN(now, part)
		n -= part
	}
}
