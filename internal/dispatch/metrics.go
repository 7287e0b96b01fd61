package dispatch

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/series"
)

// metrics counts. Its labels are names of functions and triggers, bounded by what is deployed and by names.
type metrics struct {
	runs     *prometheus.CounterVec
	attempts *prometheus.CounterVec
	trouble  *prometheus.CounterVec
	rules    *prometheus.CounterVec
	forgot   *prometheus.CounterVec
	commits  *prometheus.HistogramVec
	sizes    prometheus.Histogram
	took     *prometheus.HistogramVec
	names    *series.Bound
	others   []prometheus.Collector
}

func newMetrics(d *Dispatcher, r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_runs_total", Help: "Runs that have ended, by state.",
		}, []string{"function", "trigger", "state"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_attempts_failed_total", Help: "Attempts that did not succeed, by outcome.",
		}, []string{"function", "trigger", "outcome"}),
		trouble: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_attempts_prevented_total", Help: "Attempts that dalamb could not make, and repeats.",
		}, []string{"function", "trigger"}),
		rules: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_runs_skipped_total", Help: "Runs that a rule of their trigger ended before an attempt: dedupe or stale.",
		}, []string{"function", "trigger", "rule"}),
		forgot: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_rule_memory_exceeded_total", Help: "Events or keys that a rule (dedupe, stale) had to forget before their time.",
		}, []string{"function", "trigger", "rule"}),
		commits: prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_progress_commit_seconds", Help: "Time of a commit of outcomes and progress.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}), []string{"result"}),
		sizes: prometheus.NewHistogram(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_progress_commit_outcomes", Help: "Outcomes in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		})),
	}
	m.took = prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
		Name: "dalamb_run_seconds", Help: "From when the log took an event to the end of its run.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 10), // 1 ms to 4 min
	}), []string{"function", "trigger"})
	m.names = series.NewBound("function", "trigger", 0, m.runs, m.attempts, m.trouble, m.rules, m.forgot, m.took)
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dalamb_dispatch_held_bytes", Help: "Memory that pending events take.",
	}, func() float64 { return float64(d.budget.held.Load()) })
	m.others = []prometheus.Collector{m.runs, m.attempts, m.trouble, m.rules, m.forgot, m.commits, m.sizes, m.took, held, newLagCollector(d)}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range m.others {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

// settled counts an outcome that is stored. A replay's are in its report.
func (m *metrics) settled(w *work, now time.Time) {
	if w.trigger.Replay != nil {
		return
	}
	if w.attempt.Number > 0 && w.attempt.Outcome != function.Succeeded {
		m.attempts.WithLabelValues(m.names.Of(w.trigger.Function, w.trigger.Name, string(w.attempt.Outcome))...).Inc()
	}
	if w.final() {
		m.runs.WithLabelValues(m.names.Of(w.trigger.Function, w.trigger.Name, string(w.state))...).Inc()
		if !w.appended.IsZero() {
			w.process.Observe(m.took.WithLabelValues(m.names.Of(w.trigger.Function, w.trigger.Name)...), now.Sub(w.appended))
		}
		if w.rule != "" {
			m.rules.WithLabelValues(m.names.Of(w.trigger.Function, w.trigger.Name, string(w.rule))...).Inc()
		}
	}
}

func (m *metrics) troubled(t *catalog.Trigger) {
	m.trouble.WithLabelValues(m.names.Of(t.Function, t.Name)...).Inc()
}

func (m *metrics) committed(took time.Duration, outcomes int, err error) {
	result := "stored"
	if err != nil {
		result = "refused"
	}
	m.commits.WithLabelValues(result).Observe(took.Seconds())
	m.sizes.Observe(float64(outcomes))
}

// lagCollector shows Lag when it is asked.
type lagCollector struct {
	d                                          *Dispatcher
	behind, partial, pending, parked, detached *prometheus.Desc
}

func newLagCollector(d *Dispatcher) *lagCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"function", "trigger"}, nil)
	}
	return &lagCollector{
		d:        d,
		behind:   desc("dalamb_trigger_lag_events", "Offsets of its topic that a trigger has not finished with."),
		partial:  desc("dalamb_trigger_lag_partial", "Whether the log has not said where all partitions end, so that a trigger may be further behind."),
		pending:  desc("dalamb_trigger_pending_events", "Events that matched a trigger and are not finished."),
		parked:   desc("dalamb_trigger_parked_events", "Of the pending events, those that wait long or whose key is paused, and what is blocked behind them."),
		detached: desc("dalamb_trigger_detached_partitions", "Partitions in which a trigger has left the shared scan."),
	}
}

// Describe implements prometheus.Collector.
func (c *lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.behind
	ch <- c.partial
	ch <- c.pending
	ch <- c.parked
	ch <- c.detached
}

// Collect implements prometheus.Collector. The triggers for asynchronous calls are shown only where there is something to show.
func (c *lagCollector) Collect(ch chan<- prometheus.Metric) {
	var others Lag
	some := false
	lags, _ := c.d.Lag() // of each it is shown whether it is partial
	for _, l := range lags {
		if l.Trigger == function.InvokeTrigger && l.Behind == 0 {
			continue
		}
		if labels := c.d.metrics.names.Of(l.Function, l.Trigger); labels[0] == series.Other {
			some = true
			others.Behind += l.Behind
			others.Partial = others.Partial || l.Partial
			others.Pending += l.Pending
			others.Parked += l.Parked
			others.Detached += l.Detached
			continue
		}
		c.show(ch, l)
	}
	if some {
		others.Function, others.Trigger = series.Other, series.Other
		c.show(ch, others)
	}
}

func (c *lagCollector) show(ch chan<- prometheus.Metric, l Lag) {
	ch <- prometheus.MustNewConstMetric(c.behind, prometheus.GaugeValue, float64(l.Behind), l.Function, l.Trigger)
	partial := 0.0
	if l.Partial {
		partial = 1
	}
	ch <- prometheus.MustNewConstMetric(c.partial, prometheus.GaugeValue, partial, l.Function, l.Trigger)
	ch <- prometheus.MustNewConstMetric(c.pending, prometheus.GaugeValue, float64(l.Pending), l.Function, l.Trigger)
	ch <- prometheus.MustNewConstMetric(c.parked, prometheus.GaugeValue, float64(l.Parked), l.Function, l.Trigger)
	ch <- prometheus.MustNewConstMetric(c.detached, prometheus.GaugeValue, float64(l.Detached), l.Function, l.Trigger)
}

// rule is a delivery rule that ends runs before an attempt.
type rule string

const (
	ruleDedupe rule = "dedupe"
	ruleStale  rule = "stale"
)

func (m *metrics) forgotten(t *catalog.Trigger, r rule) {
	m.forgot.WithLabelValues(m.names.Of(t.Function, t.Name, string(r))...).Inc()
}

// keep forgets the triggers that a plan has no more.
func (m *metrics) keep(pl *plan) {
	there := map[[2]string]bool{}
	for _, t := range pl.triggers {
		there[[2]string{t.Function, t.Name}] = true
	}
	m.names.Keep(func(fn, trigger string) bool { return there[[2]string{fn, trigger}] })
}
