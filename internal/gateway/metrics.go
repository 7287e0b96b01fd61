package gateway

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/series"
)

// Reasons for a call without a record.
const (
	dropFull = "full" // too many were waiting
	dropLog  = "log"  // the log did not take them
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	events   prometheus.Counter
	recorded prometheus.Counter
	dropped  *prometheus.CounterVec
	refused  prometheus.Counter
	streams  *prometheus.CounterVec
	crowded  *prometheus.CounterVec
	cache    *prometheus.CounterVec
	awaits   *prometheus.CounterVec

	routes  *prometheus.CounterVec
	routing *prometheus.HistogramVec
	names   *series.Bound // of routes

	undocumented *prometheus.CounterVec
	answers      *prometheus.CounterVec
	idempotency  *prometheus.CounterVec

	timeouts        *prometheus.CounterVec
	retries, hedges *prometheus.CounterVec
	fallbacks       *prometheus.CounterVec
	breakers        *prometheus.CounterVec
	breakerRefused  prometheus.Counter
	parts           *prometheus.CounterVec
}

// collectors are all of them.
func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.awaits,
		m.requests, m.seconds, m.events, m.recorded, m.dropped, m.refused, m.streams, m.crowded, m.cache,
		m.routes, m.routing,
		m.undocumented, m.answers,
		m.idempotency,
		m.timeouts, m.retries, m.hedges, m.fallbacks, m.breakers, m.breakerRefused, m.parts,
	}
}

// What a cache did with a request.
const (
	cacheHit         = "hit"
	cacheStale       = "stale" // it gave what is stale
	cacheCollapsed   = "collapsed"
	cacheRevalidated = "revalidated"
	cacheMiss        = "miss"
	cacheBypass      = "bypass"
)

// newMetrics registers the gateway's metrics; r nil registers nowhere.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_gateway_requests_total", Help: "Requests that the gateway answered, by kind and status.",
		}, []string{"kind", "status"}),
		seconds: prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_gateway_request_seconds", Help: "From a request's headers to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}), []string{"kind"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dalamb_gateway_events_total", Help: "Events that the gateway took in and stored.",
		}),
		recorded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dalamb_gateway_records_total", Help: "Calls whose record was written behind the answer.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_gateway_records_dropped_total", Help: "Calls without a record, by reason: full (too many waiting), log (the log took no writes).",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dalamb_gateway_effects_refused_total", Help: "Calls answered 503 because the log did not take what the function said or did.",
		}),
	}
	m.streams = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_streams_total", Help: "Answers that were passed on as they came, by how they ended: whole, client (went away), function (broke off, or its time was up), node.",
	}, []string{"end"})
	m.crowded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_crowded_total", Help: "Requests that a route's concurrency refused, by reason: full (as many were waiting as may), wait (their turn did not come in time), shed (the node has more to do than it can).",
	}, []string{"function", "trigger", "reason"})
	m.cache = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_cache_total", Help: "Requests to routes with a cache, by what it did: hit, stale (it gave what is past its time), collapsed (the answer to another request was given), revalidated, miss, bypass.",
	}, []string{"result"})
	m.awaits = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_awaits_total", Help: "Requests to routes that an event answers, by what the client was given: event, function (the function's own answer, since it emitted nothing), failed, later (the address of the run).",
	}, []string{"answer"})
	m.idempotency = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_idempotency_total", Help: "Requests to routes with idempotency that have a key or lack it, by what became of them: run, replayed (the answer was given again), busy (it is still being run), other (the key was another request's), gone (the answer is not kept), invalid.",
	}, []string{"result"})
	m.routes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_route_requests_total", Help: "Requests that a route answered, by the class of their status.",
	}, []string{"function", "trigger", "status"})
	m.routing = prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
		Name: "dalamb_route_request_seconds", Help: "From the header of a route's request to the end of its answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), // 1 ms to 65 s
	}), []string{"function", "trigger"})
	m.resilience()
	m.documents()
	m.names = series.NewBound("function", "trigger", 0, m.routes, m.routing, m.crowded, m.undocumented, m.answers)
	for _, reason := range []string{dropFull, dropLog} {
		m.dropped.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register gateway metrics: %w", err)
		}
	}
	return m, nil
}

// Labels of attempts beside the first.
const (
	extraMade    = "made"
	extraRefused = "budget"
)

// resilience makes the metrics of what a route does when its function fails.
func (m *metrics) resilience() {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m.timeouts = counters("dalamb_gateway_timeouts_total", "Requests of which a time of their route's timeout was over, by its name.", "time")
	m.retries = counters("dalamb_gateway_retries_total", "Attempts that follow one that has failed: made, or left out because the route's budget was spent.", "outcome")
	m.hedges = counters("dalamb_gateway_hedges_total", "Second attempts beside one that takes long: made, or left out because the route's budget was spent.", "outcome")
	m.fallbacks = counters("dalamb_gateway_fallbacks_total", "Requests that had a fallback's answer, by what answered: static, function, or failed where that failed too.", "answer")
	m.breakers = counters("dalamb_gateway_breaker_changes_total", "Changes of breakers, by the state that follows: open, half-open, closed.", "state")
	m.parts = counters("dalamb_gateway_scatter_parts_total", "Parts of answers that several functions give together, by what came of them: here, or why it is missing: timeout, status, failed, unavailable, not-json, too-large.", "result")
	m.breakerRefused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "dalamb_gateway_breaker_refused_total", Help: "Requests that did not reach their function because a breaker was open.",
	})
}

// documents makes the metrics of what is held against documents.
func (m *metrics) documents() {
	m.undocumented = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_requests_invalid_total", Help: "Requests that were refused because they are not as the document of their route says.",
	}, []string{"function", "trigger"})
	m.answers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_gateway_answers_checked_total", Help: "Answers that were to be held against the document of their route, by result: valid, invalid, skipped (too long, encoded, broken off, or one too many at a time).",
	}, []string{"function", "trigger", "result"})
}

func (m *metrics) request(x *exchange, took time.Duration) {
	m.requests.WithLabelValues(x.kind, statusText(x.status)).Inc()
	x.span.Observe(m.seconds.WithLabelValues(x.kind), took)
	if t := x.route; t != nil {
		m.routes.WithLabelValues(m.names.Of(t.Function, t.Name, classOf(x.status))...).Inc()
		x.span.Observe(m.routing.WithLabelValues(m.names.Of(t.Function, t.Name)...), took)
	}
}

// statusText spares the usual case its string.
func statusText(status int) string {
	switch status {
	case 0, 200:
		return "200"
	case 202:
		return "202"
	}
	return strconv.Itoa(status)
}

// classOf is the class of a status; RFC 9110, section 15.
func classOf(status int) string {
	if status == 0 {
		status = 200
	}
	return strconv.Itoa(status/100) + "xx"
}

// keep forgets the routes that are no more.
func (m *metrics) keep(guards map[routeKey]guard) {
	m.names.Keep(func(fn, trigger string) bool { _, is := guards[routeKey{fn, trigger}]; return is })
}
