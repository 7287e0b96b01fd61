package disk

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/series"
)

// metrics is what the log says of itself to Prometheus.
type metrics struct {
	registry   prometheus.Registerer
	registered []prometheus.Collector

	records prometheus.Counter
	bytes   prometheus.Counter
	groups  prometheus.Counter
	skipped prometheus.Counter
	commit  prometheus.Histogram
	sizes   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, l *Log) (*metrics, error) {
	m := &metrics{
		registry: r,
		records:  prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_records_total", Help: "Records made durable."}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_bytes_total", Help: "Bytes of records made durable, as stored."}),
		skipped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_skipped_records_total", Help: "Records that a search has not read, since the digests of their blocks rule them out."}),
		groups:   prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_log_groups_total", Help: "Groups of writes that shared an fsync."}),
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
	space := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dalamb_log_space", Help: "Room on the disk: 0 enough, 1 low, 2 none for new events."},
		func() float64 { return float64(l.Space()) })
	failed := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dalamb_log_failed", Help: "1 when a failed write has ended the log's writing."},
		func() float64 {
			if l.failure() != nil {
				return 1
			}
			return 0
		})
	for _, c := range []prometheus.Collector{m.records, m.bytes, m.groups, m.skipped, m.commit, m.sizes, space, failed, newWrittenMetric(l)} {
		if err := r.Register(c); err != nil {
			return nil, errors.Join(fmt.Errorf("register log metrics: %w", err), m.close())
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

func (m *metrics) group(g *group, took time.Duration) {
	m.records.Add(float64(g.records))
	m.sizes.Observe(float64(g.records))
	m.bytes.Add(float64(g.bytes))
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
