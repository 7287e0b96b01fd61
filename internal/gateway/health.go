package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/health"
	"github.com/dalamb/dalamb/internal/wire"
)

// healthTimeout bounds one look at the parts.
const healthTimeout = 2 * time.Second

// Paths of what is asked: whether the node works and how well, whether its process lives, whether it is ready for requests.
const (
	healthPath = "/_/health"
	livePath   = healthPath + "/live"
	readyPath  = healthPath + "/ready"
)

type healthAnswer struct {
	Status  string            `json:"status"`            // "ok" or "failing"
	Grade   string            `json:"grade,omitempty"`   // "healthy", "degraded" or "unhealthy"
	Checks  map[string]string `json:"checks,omitempty"`  // part -> "ok" or "failing"
	Reasons map[string]string `json:"reasons,omitempty"` // part or measure -> why, where that says nothing about what is behind the node
	// Measures are those that are graded, by name.
	Measures map[string]string `json:"measures,omitempty"`
}

// serveHealth is GET /_/health and what is below it: 200, or 503 when a part does not work or, of the first, the grade is unhealthy.
func (g *Gateway) serveHealth(x *exchange, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.methodNotAllowed(x, r, "GET, HEAD")
		return
	}
	switch r.URL.Path {
	case livePath:
		WriteLive(x)
		return
	case healthPath, readyPath:
	default:
		g.fail(x, fault.New(fault.NotFound, "there is no path %q", r.URL.Path).WithHint("health is at %s, %s and %s", healthPath, livePath, readyPath))
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
	var grade health.Report
	if r.URL.Path == healthPath {
		grade = g.grade()
	}
	WriteHealth(x, checks, grade)
}

// WriteLive answers that there is a process that answers.
func WriteLive(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, healthAnswer{Status: "ok"})
}

// WriteHealth answers 200 when no part has an error and the grade is not unhealthy, else 503. Anybody may ask, so it names parts and measures, of an error its kind
// alone, and no figures. The zero Report is one that nobody asked for.
func WriteHealth(w http.ResponseWriter, checks map[string]error, grade health.Report) {
	a, status := healthAnswer{Status: "ok", Checks: map[string]string{}}, http.StatusOK
	a.graded(grade)
	if grade.Grade == health.Unhealthy {
		status = http.StatusServiceUnavailable
	}
	for name, err := range checks {
		if err == nil {
			a.Checks[name] = "ok"
			continue
		}
		a.Checks[name], a.Status, status = "failing", "failing", http.StatusServiceUnavailable
		a.reason(name, publicReason(fault.KindOf(err)))
	}
	if a.Status != "ok" && a.Grade != "" {
		a.Grade = health.Unhealthy.String()
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if status != http.StatusOK {
		h.Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, a)
}

func (a *healthAnswer) reason(of, text string) {
	if text == "" {
		return
	}
	if a.Reasons == nil {
		a.Reasons = map[string]string{}
	}
	a.Reasons[of] = text
}

// graded tells the grade, and the reasons where it is not healthy.
func (a *healthAnswer) graded(r health.Report) {
	if r.Measures == nil {
		return
	}
	a.Grade, a.Measures = r.Grade.String(), map[string]string{}
	for _, m := range r.Measures {
		a.Measures[m.Name] = m.Grade.String()
		if m.Grade != health.Healthy {
			a.reason(m.Name, measureReason(m.Name))
		}
	}
}

func measureReason(name string) string {
	switch name {
	case health.Store:
		return "the log takes long to store what comes"
	case health.Queue:
		return "many calls wait for an instance"
	case health.Errors:
		return "many calls could not be made"
	case health.Response:
		return "answers take long"
	}
	return ""
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
