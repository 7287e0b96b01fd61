package health

import "github.com/prometheus/client_golang/prometheus"

// metrics tell the grades as they were judged last.
type metrics struct {
	health    *Health
	node      *prometheus.Desc
	functions *prometheus.Desc
}

func newMetrics(r prometheus.Registerer, h *Health) (*metrics, error) {
	m := &metrics{
		health:    h,
		node:      prometheus.NewDesc("dalamb_health", "How the node does by each measure: 0 healthy, 1 degraded, 2 unhealthy.", []string{"measure"}, nil),
		functions: prometheus.NewDesc("dalamb_function_health", "How a function that is called does: 0 healthy, 1 degraded, 2 unhealthy.", []string{"function"}, nil),
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.node
	ch <- m.functions
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	r := m.health.latest.Load()
	for _, one := range r.node.Measures {
		ch <- prometheus.MustNewConstMetric(m.node, prometheus.GaugeValue, float64(one.Grade), one.Name)
	}
	for name, f := range r.functions {
		ch <- prometheus.MustNewConstMetric(m.functions, prometheus.GaugeValue, float64(f.Grade), name)
	}
}
