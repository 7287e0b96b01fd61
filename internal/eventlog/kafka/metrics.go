package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/series"
)

// metrics is what the log says of itself to Prometheus, by the names that the embedded log uses where it is the same.
type metrics struct {
	registry   prometheus.Registerer
	registered []prometheus.Collector

	records prometheus.Counter
	bytes   prometheus.Counter
	groups  prometheus.Counter
	aborts  prometheus.Counter
	commit  prometheus.Histogram
	sizes   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		registry: r,
		records:  prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_records_total", Help: "Records made durable."}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_bytes_total", Help: "Bytes of records made durable, as stored."}),
		groups:   prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_groups_total", Help: "Groups of writes that shared an fsync, a batch or a transaction."}),
		aborts:   prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_aborts_total", Help: "Kafka transactions that were aborted."}),
		sizes: prometheus.NewHistogram(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_log_group_records", Help: "Records in one group of writes.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		})),
		commit: prometheus.NewHistogram(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_log_commit_seconds", Help: "Time from building a group of writes to its being durable.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		})),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.groups, m.aborts, m.commit, m.sizes} {
		if err := r.Register(c); err != nil {
			return nil, errors.Join(fmt.Errorf("register log metrics: %w", err), m.close())
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

// stored counts a group of writes.
func (m *metrics) stored(records, bytes int, took time.Duration) {
	m.records.Add(float64(records))
	m.sizes.Observe(float64(records))
	m.bytes.Add(float64(bytes))
	m.groups.Inc()
	m.commit.Observe(took.Seconds())
}

// close takes the metrics back, so that a log can be opened again in the same process.
func (m *metrics) close() error {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
	return nil
}
