package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// answers is an API that says what it is told to, and nothing else.
func answers(said map[string]any) http.Handler {
	mux := http.NewServeMux()
	for path, answer := range said {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(answer) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	return mux
}

// An alert that fires is among the things to look at; the settings have all of them.
func TestAlertsAreShown(t *testing.T) {
	since := time.Now().Add(-3 * time.Minute)
	fires := wire.Alert{Alert: function.Alert{Name: "pay-fails", When: "error-rate > 5%", Functions: []string{"pay"}}, State: function.AlertFiring, Since: &since, Shown: "12%"}
	calm := wire.Alert{Alert: function.Alert{Name: "oven", When: "log-lines > 10", Text: "cold", Level: "warn"}, State: function.AlertOK, Missing: []string{"x-*"}}
	v := signedIn(t, answers(map[string]any{"/v1/alerts": wire.AlertList{Alerts: []wire.Alert{fires, calm}}}))
	page := v.get("/").Body.String()
	for _, want := range []string{"Look at these", `href="/settings#alerts">pay-fails<`, "error-rate &gt; 5%", "it was 12%", "3 min ago"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if strings.Contains(page, "oven") {
		t.Error("the overview has an alert that does not fire")
	}
	page = v.get("/settings").Body.String()
	for _, want := range []string{"pay-fails", "oven", "with &#34;cold&#34;, warn and worse", "never fired", "no function fits", "all functions"} {
		if !strings.Contains(page, want) {
			t.Errorf("the settings lack %q", want)
		}
	}
}

// What was not measured is not said: a function that nobody called is not healthy, and too few invocations judge no version.
func TestWhatWasNotMeasuredIsNotSaid(t *testing.T) {
	rollout := wire.Rollout{To: 2, State: function.RolloutSucceeded, Reason: "promoted by hand", Ended: time.Now()}
	rollout.Gates.Sample = 20
	rollout.Taken = []wire.RolloutStep{{Facts: &function.RolloutFacts{New: function.RolloutFigures{Invocations: 7}, Old: function.RolloutFigures{Invocations: 162}}}}
	health := wire.Health{Grade: "healthy", Measures: []wire.HealthMeasure{{Name: "errors", Grade: "healthy"}, {Name: "response", Grade: "healthy"}}}
	said := map[string]any{"/v1/functions/web/rollout": rollout, "/v1/functions/web/health": health}
	page := signedIn(t, answers(said)).get("/functions/web").Body.String()
	for _, want := range []string{"not called lately", "too few to judge: 7 of 20", "<p>promoted by hand"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, not := range []string{"is-healthy", "p95 0 s"} {
		if strings.Contains(page, not) {
			t.Errorf("the page has %q", not)
		}
	}
	health.Measures[0].Samples, health.Measures[0].Average = 2, 1
	said["/v1/functions/web/health"] = health
	page = signedIn(t, answers(said)).get("/functions/web").Body.String()
	for _, want := range []string{"is-healthy", "100.0% of 2 calls", "–"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
