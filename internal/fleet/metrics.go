package fleet

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/series"
	"github.com/dalamb/dalamb/internal/tracing"
)

// metrics are what the fleet counts. Where labels are functions or versions, their number is bounded.
type metrics struct {
	fleet       *Fleet
	instances   *prometheus.Desc
	queued      *prometheus.Desc
	invocations *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	starts      *prometheus.HistogramVec
	waits       *prometheus.HistogramVec
	thaws       prometheus.Histogram
	ends        *prometheus.CounterVec
	versions    *prometheus.CounterVec
	worked      *prometheus.HistogramVec
	names       *series.Bound // of versions
	functions   *series.Bound
	cpu, memory *prometheus.Desc
}

func newMetrics(r prometheus.Registerer, f *Fleet) (*metrics, error) {
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 18) // 0.5 ms to 65 s
	m := &metrics{
		fleet:     f,
		instances: prometheus.NewDesc("dalamb_instances", "Instances by state.", []string{"state"}, nil),
		queued:    prometheus.NewDesc("dalamb_calls_queued", "Calls that wait for an instance.", nil, nil),
		invocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalamb_invocations_total", Help: "Invocations by entry and outcome.",
		}, []string{"entry", "outcome"}),
		durations: prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_invocation_seconds", Help: "Time that functions worked on an invocation.", Buckets: seconds,
		}), []string{"entry"}),
		starts: prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_cold_start_seconds", Help: "Time until an instance was ready, not of stdio; its count is the number of cold starts.", Buckets: seconds,
		}), []string{"entry"}),
		waits: prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
			Name: "dalamb_queue_wait_seconds", Help: "Time that calls waited for an instance, where they had to.", Buckets: seconds,
		}), []string{"entry"}),
	}
	m.thaws = prometheus.NewHistogram(series.Histogram(prometheus.HistogramOpts{
		Name: "dalamb_thaw_seconds", Help: "Time until a frozen instance could run again; its count is how often one was thawed.",
		Buckets: prometheus.ExponentialBuckets(0.00005, 2, 16), // 50 us to 1.6 s
	}))
	m.ends = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_instances_replaced_total", Help: "Instances that were ended because they misbehaved, by cause.",
	}, []string{"cause"})
	for _, c := range causes() {
		m.ends.WithLabelValues(string(c))
	}
	m.versions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_version_invocations_total", Help: "Invocations of a version by outcome.",
	}, []string{"function", "version", "outcome"})
	m.worked = prometheus.NewHistogramVec(series.Histogram(prometheus.HistogramOpts{
		Name: "dalamb_version_invocation_seconds", Help: "Time that a version worked on an invocation.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}), []string{"function", "version"})
	m.names = series.NewBound("function", "version", 0, m.versions, m.worked)
	m.functions = series.NewBound("function", "", 0)
	m.cpu = prometheus.NewDesc("dalamb_function_cpu_seconds_total", "Time of CPUs that instances of a function have used.", []string{"function"}, nil)
	m.memory = prometheus.NewDesc("dalamb_function_memory_bytes", "The most memory that each of a function's instances has used, of all that live.", []string{"function"}, nil)
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m, m.invocations, m.durations, m.starts, m.waits, m.thaws, m.ends, m.versions, m.worked} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.instances
	ch <- m.queued
	ch <- m.cpu
	ch <- m.memory
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	count := map[State]int{Starting: 0, Idle: 0, Busy: 0, Frozen: 0, Stopping: 0}
	queued := 0
	now := m.fleet.o.Now()
	m.fleet.mu.Lock()
	for _, p := range m.fleet.pools {
		queued += len(p.queue)
		for _, i := range p.instances {
			count[i.state(now)]++
		}
	}
	m.fleet.mu.Unlock()
	for state, n := range count {
		ch <- prometheus.MustNewConstMetric(m.instances, prometheus.GaugeValue, float64(n), string(state))
	}
	ch <- prometheus.MustNewConstMetric(m.queued, prometheus.GaugeValue, float64(queued))
	m.use(ch)
}

func (m *metrics) invoked(v *function.Version, r *function.Result, span *tracing.Span) {
	typ := string(v.Spec.Entry.Type)
	m.invocations.WithLabelValues(typ, string(r.Outcome)).Inc()
	span.Observe(m.durations.WithLabelValues(typ), r.Duration)
	m.versions.WithLabelValues(m.names.Of(v.Function(), strconv.Itoa(v.Number), string(r.Outcome))...).Inc()
	span.Observe(m.worked.WithLabelValues(m.names.Of(v.Function(), strconv.Itoa(v.Number))...), r.Duration)
}

// coldStart leaves stdio out: its program starts with the invocation, so that an instance is ready before anything has started.
func (m *metrics) coldStart(v *function.Version, d time.Duration) {
	if v.Spec.Entry.Once() {
		return
	}
	m.starts.WithLabelValues(string(v.Spec.Entry.Type)).Observe(d.Seconds())
}

func (m *metrics) waited(v *function.Version, d time.Duration) {
	m.waits.WithLabelValues(string(v.Spec.Entry.Type)).Observe(d.Seconds())
}

func (m *metrics) thawed(d time.Duration) { m.thaws.Observe(d.Seconds()) }

func (m *metrics) replaced(c Cause) { m.ends.WithLabelValues(string(c)).Inc() }
