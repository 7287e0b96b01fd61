package audit

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records, checkpoints, failed   prometheus.Counter
	signed, still, behind, missing prometheus.Gauge
}

// newMetrics registers with r, where there is one.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		records:     prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_audit_records_total", Help: "Records that were hashed into the trees of their partitions."}),
		checkpoints: prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_audit_checkpoints_total", Help: "Checkpoints that were signed."}),
		failed:      prometheus.NewCounter(prometheus.CounterOpts{Name: "dalamb_audit_outside_failures_total", Help: "Times that checkpoints could not be brought to the place outside. They are brought later."}),
		missing:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "dalamb_audit_outside_missing", Help: "Checkpoints that were signed, and are not at the place outside yet."}),
		signed:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "dalamb_audit_last_checkpoint_seconds", Help: "When the last checkpoint was signed, in seconds since 1970; 0 before the first since the start."}),
		still:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "dalamb_audit_standing_still", Help: "1 where the log and what was signed contradict each other, and nothing is signed any more."}),
		behind:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "dalamb_audit_trees_behind", Help: "Partitions that could not be read to their ends when the log was looked at last. The others are signed nevertheless."}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.records, m.checkpoints, m.failed, m.missing, m.signed, m.still, m.behind} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
