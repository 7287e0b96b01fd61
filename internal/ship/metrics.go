package ship

import "github.com/prometheus/client_golang/prometheus"

// metrics are labelled by the names of sinks, which the configuration bounds.
type metrics struct {
	ship    *Ship
	lines   *prometheus.CounterVec
	lag     *prometheus.Desc
	failing *prometheus.Desc
}

func newMetrics(s *Ship, to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		ship: s,
		lines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_ship_lines_total", Help: "Lines of functions by what became of them at a sink: sent, refused, or expired before it had them.",
		}, []string{"sink", "outcome"}),
		lag:     prometheus.NewDesc("dalamb_ship_lag_events", "Events of the log that a sink has not got yet.", []string{"sink"}, nil),
		failing: prometheus.NewDesc("dalamb_ship_failing", "Whether the last try to ship lines to a sink has failed.", []string{"sink"}, nil),
	}
	if to == nil {
		return m, nil
	}
	if err := to.Register(m.lines); err != nil {
		return nil, err
	}
	return m, to.Register(m)
}

// Describe and Collect show how the sinks do at the moment that somebody asks.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.lag
	to <- m.failing
}

func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for _, s := range m.ship.States() {
		failing := 0.
		if s.Failing != nil {
			failing = 1
		}
		to <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, float64(s.Behind), s.Name)
		to <- prometheus.MustNewConstMetric(m.failing, prometheus.GaugeValue, failing, s.Name)
	}
}
