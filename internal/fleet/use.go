package fleet

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/function"
)

// use shows what functions use of the machine. Those beyond the bound are one.
func (m *metrics) use(ch chan<- prometheus.Metric) {
	type instance struct {
		function string
		conn     entry.Conn
	}
	var live []instance
	cpu, memory := map[string]time.Duration{}, map[string]int64{}
	m.fleet.mu.Lock()
	for name, spent := range m.fleet.spent {
		cpu[m.functions.Of(name, "")[0]] += spent
	}
	for _, p := range m.fleet.pools {
		for _, i := range p.instances {
			if i.conn != nil {
				live = append(live, instance{p.key.name, i.conn})
			}
		}
	}
	m.fleet.mu.Unlock()
	for _, i := range live { // asked without the lock: it takes system calls
		u, name := i.conn.Usage(), m.functions.Of(i.function, "")[0]
		cpu[name] += u.CPU
		memory[name] += u.MemoryPeak
	}
	for name, spent := range cpu {
		ch <- prometheus.MustNewConstMetric(m.cpu, prometheus.CounterValue, spent.Seconds(), name)
		ch <- prometheus.MustNewConstMetric(m.memory, prometheus.GaugeValue, float64(memory[name]), name)
	}
}

// forget drops the series of a version that nobody wants any more, and what is known of its function with the last of them.
func (m *metrics) forget(v *function.Version, last bool) {
	gone := strconv.Itoa(v.Number)
	m.names.Keep(func(fn, version string) bool { return fn != v.Function() || version != gone })
	if last {
		m.functions.Keep(func(fn, _ string) bool { return fn != v.Function() })
	}
}
