package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// healthTimeout bounds one look at the parts.
const healthTimeout = 2 * time.Second

type healthAnswer struct {
	Status  string            `json:"status"`            // "ok" or "failing"
	Checks  map[string]string `json:"checks"`            // part -> "ok" or "failing"
	Reasons map[string]string `json:"reasons,omitempty"` // part -> why, where that says nothing about what is behind the node
}

// serveHealth is GET /_/health: 200 when every part works, else 503.
func (g *Gateway) serveHealth(x *exchange, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.methodNotAllowed(x, r, "GET, HEAD")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	checks := g.health(ctx)
	for name, err := range checks {
		if err != nil {
			g.logger.Warn("health check failed", "part", name, "err", err)
		}
	}
	WriteHealth(x, checks)
}

// WriteHealth answers 200 when no part has an error, else 503. Anybody may ask, so it names parts, and of an error its kind alone.
func WriteHealth(w http.ResponseWriter, checks map[string]error) {
	a, status := healthAnswer{Status: "ok", Checks: map[string]string{}}, http.StatusOK
	for name, err := range checks {
		if err == nil {
			a.Checks[name] = "ok"
			continue
		}
		a.Checks[name], a.Status, status = "failing", "failing", http.StatusServiceUnavailable
		if reason := publicReason(fault.KindOf(err)); reason != "" {
			if a.Reasons == nil {
				a.Reasons = map[string]string{}
			}
			a.Reasons[name] = reason
		}
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if status != http.StatusOK {
		h.Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, a)
}

func publicReason(k fault.Kind) string {
	switch k {
	case fault.Unavailable, fault.Timeout:
		return "it cannot be reached"
	case fault.Exhausted:
		return "it is full"
	case fault.Denied, fault.Unauthenticated:
		return "it refuses this node"
	}
	return ""
}

// WriteUnavailable answers 503 with an error, and when to try again.
func WriteUnavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", retryAfter)
	writeJSON(w, http.StatusServiceUnavailable, wire.ErrorOf(err))
}
