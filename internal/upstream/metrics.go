package upstream

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the pools. The servers are counted when somebody asks.
type metrics struct {
	of        *Upstreams
	requests  *prometheus.CounterVec
	ejections *prometheus.CounterVec
	servers   *prometheus.Desc
}

// Outcomes of attempts, for metrics.
const (
	outcomeOK        = "ok"
	outcomeFailed    = "failed"
	outcomeUnreached = "unreachable"
	outcomeLeft      = "abandoned"
)

func newMetrics(r prometheus.Registerer, u *Upstreams) (*metrics, error) {
	m := &metrics{
		of: u,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_upstream_requests_total", Help: "Attempts that servers of upstreams got, by outcome: ok, failed (500 and above, or no answer), unreachable, abandoned (the client left).",
		}, []string{"function", "trigger", "outcome"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_upstream_ejections_total", Help: "Servers that were left out for a while because they failed requests.",
		}, []string{"function", "trigger"}),
		servers: prometheus.NewDesc("dalamb_upstream_servers", "Servers of upstreams, by state: healthy, unhealthy, ejected.", []string{"function", "trigger", "state"}, nil),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.ejections, m} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of upstreams: %w", err)
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.servers }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	type route struct{ function, trigger string }
	counts := map[route]map[string]int{}
	for _, p := range m.of.all() {
		of := counts[route{p.function, p.trigger}]
		if of == nil {
			of = map[string]int{stateHealthy: 0, stateUnhealthy: 0, stateEjected: 0}
			counts[route{p.function, p.trigger}] = of
		}
		for _, s := range *p.members.Load() {
			of[s.state().State]++
		}
	}
	for r, of := range counts {
		for state, n := range of {
			ch <- prometheus.MustNewConstMetric(m.servers, prometheus.GaugeValue, float64(n), r.function, r.trigger, state)
		}
	}
}

func (p *Pool) count(outcome string) {
	p.up.metrics.requests.WithLabelValues(p.function, p.trigger, outcome).Inc()
}

func outcomeOf(v verdict) string {
	switch v {
	case good:
		return outcomeOK
	case failed:
		return outcomeFailed
	}
	return outcomeLeft
}
