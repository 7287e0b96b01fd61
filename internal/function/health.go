package function

import "strings"

// Health says how an http function is asked whether it is well.
type Health struct {
	Path     string   `json:"path"`
	Every    Duration `json:"every"`
	Failures int      `json:"failures"` // in a row, from which on an instance is replaced
	Grace    Duration `json:"grace,omitzero"`
}

func defaultHealth() Health { return Health{Every: seconds(10), Failures: 3} }

func healthValue() value[Health] {
	return object([]string{"path"},
		field("path", "GET of it answers 200 to 399 where the function is well.", text[string](), func(h *Health) *string { return &h.Path }),
		field("every", "How often it is asked, and how long it has for an answer. Default: 10s.", duration(), func(h *Health) *Duration { return &h.Every }),
		field("failures", "After so many in a row the instance is replaced. Default: 3.", whole(), func(h *Health) *int { return &h.Failures }),
		field("grace", "For so long after an instance was ready failures do not count. Default: 0s.", duration(), func(h *Health) *Duration { return &h.Grace }),
	)
}

func (c *checker) health(s *Spec) {
	h := s.Health
	if h == nil {
		return
	}
	if s.Entry.Type != EntryHTTP {
		c.add("health", "remove it: an instance that is not ready in time, or that does not answer in time, is replaced in any case", "only an http entry can be asked for a path")
		return
	}
	if !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, " \t\r\n#") {
		c.add("health.path", "such as /healthz", "%q is not a path", clip(h.Path))
	}
	between(c.at("health.every"), h.Every, seconds(0.1), seconds(3600))
	between(c.at("health.failures"), h.Failures, 1, 1000)
	between(c.at("health.grace"), h.Grace, 0, seconds(3600))
}
