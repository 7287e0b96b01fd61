package gateway

import (
	"context"
	"net/http"
	"time"
)

// healthTimeout bounds one look at the parts.
const healthTimeout = 2 * time.Second

type healthAnswer struct {
	Status string            `json:"status"` // "ok" or "failing"
	Checks map[string]string `json:"checks"` // part -> "ok" or "failing"
}

// serveHealth is GET /_/health: 200 when every part works, else 503. It needs no token, so it names parts and nothing else.
func (g *Gateway) serveHealth(x *exchange, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.methodNotAllowed(x, r, "GET, HEAD")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	a, status := healthAnswer{Status: "ok", Checks: map[string]string{}}, http.StatusOK
	for name, err := range g.health(ctx) {
		if err == nil {
			a.Checks[name] = "ok"
			continue
		}
		g.logger.Warn("health check failed", "part", name, "err", err)
		a.Checks[name], a.Status, status = "failing", "failing", http.StatusServiceUnavailable
	}
	x.Header().Set("Cache-Control", "no-store")
	writeJSON(x, status, a)
}
