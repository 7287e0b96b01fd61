package native

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register makes the pool of waiting sandboxes visible.
func (s *spares) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	count := func(of *int64) func() float64 {
		return func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(*of)
		}
	}
	all := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "dalamb_sandboxes_waiting", Help: "Sandboxes that were made ahead and wait for a function."}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(len(s.waiting))
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "dalamb_sandbox_starts_ahead_total", Help: "Starts of sandboxes for which one had been made ahead.",
		}, count(&s.found)),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "dalamb_sandbox_starts_late_total", Help: "Starts of sandboxes for which one had to be made first.",
		}, count(&s.missed)),
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}
