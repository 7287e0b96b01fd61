package hook

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Refusals count the requests that did not show who sends them, since the node started. They are not kept in the log, which strangers could fill
// then. Safe for concurrent use.
type Refusals struct {
	total *prometheus.CounterVec
	now   func() time.Time

	mu    sync.Mutex
	hooks map[string]function.HookRefused
}

// NewRefusals registers the metric; r nil registers nowhere.
func NewRefusals(r prometheus.Registerer, now func() time.Time) (*Refusals, error) {
	s := &Refusals{now: now, hooks: map[string]function.HookRefused{}, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dalamb_hook_refused_total", Help: "Requests to hooks that did not show who sends them, by provider and hook.",
	}, []string{"provider", "hook"})}
	if r == nil {
		return s, nil
	}
	if err := r.Register(s.total); err != nil {
		return nil, fmt.Errorf("register the metric of hooks: %w", err)
	}
	return s, nil
}

// count passes err on, and counts it where it says that a request proves nothing. A name that there is no hook of is for nobody to choose a label
// by: hook is "" then.
func (s *Refusals) count(provider, hook string, err error) error {
	if s == nil || fault.KindOf(err) != fault.Unauthenticated {
		return err
	}
	s.total.WithLabelValues(provider, hook).Inc()
	if hook == "" {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.hooks[hook]
	s.hooks[hook] = function.HookRefused{Requests: one.Requests + 1, Last: s.now().UTC(), Why: err.Error()}
	return err
}

// Refused is what was refused of one hook.
func (s *Refusals) Refused(hook string) function.HookRefused {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks[hook]
}
