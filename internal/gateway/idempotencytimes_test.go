package gateway

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// TestHowLongARequestWithAKeyMayTake: while the time is not over nobody takes it for lost.
func TestHowLongARequestWithAKeyMayTake(t *testing.T) {
	n := start(t, says("x"))
	deploy := func(name string, timeout time.Duration, triggers ...function.Trigger) {
		t.Helper()
		v := function.Version{Code: "sha256:00", Spec: function.Spec{
			Name: name, Entry: function.Entry{Type: function.EntryHTTP}, Timeout: function.Duration(timeout), Triggers: triggers,
		}}
		if _, err := n.catalog.Submit(t.Context(), catalog.Deploy{Version: v}); err != nil {
			t.Fatal(err)
		}
	}
	const s = time.Second
	queue, store := 30*s, 2*storeTimeout
	deploy("other", 7*s)
	deploy("f", 20*s)
	for name, c := range map[string]struct {
		change func(*function.Route)
		want   times
	}{
		"nothing":             {func(*function.Route) {}, times{queue + 20*s, queue + 20*s + store}},
		"total":               {func(r *function.Route) { r.Timeout = &function.RouteTimeout{Total: function.Duration(5 * s)} }, times{5 * s, queue + 20*s + store}},
		"connect":             {func(r *function.Route) { r.Timeout = &function.RouteTimeout{Connect: function.Duration(s)} }, times{21 * s, 21*s + store}},
		"a long connect":      {func(r *function.Route) { r.Timeout = &function.RouteTimeout{Connect: function.Duration(99 * s)} }, times{queue + 20*s, queue + 20*s + store}},
		"retry":               {func(r *function.Route) { r.Retry = &function.RouteRetry{Attempts: 3} }, times{queue + 20*s, 3*(queue+20*s) + 2*maxRetryWait + store}},
		"fallback":            {func(r *function.Route) { r.Fallback = &function.Fallback{Function: "other"} }, times{queue + 20*s, queue + 20*s + queue + 7*s + store}},
		"a fallback's answer": {func(r *function.Route) { r.Fallback = &function.Fallback{Body: "x"} }, times{queue + 20*s, queue + 20*s + store}},
	} {
		deploy("f", 10*s, onceRoute(c.change)) // the newest, and the one before it has a share
		now := n.catalog.View()
		live, err := now.Alias("f", function.LiveAlias)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.catalog.Submit(t.Context(), catalog.Shift{Function: "f", Alias: function.Alias{Name: function.LiveAlias, Primary: live.Primary, Weights: map[int]int{1: 10}}}); err != nil {
			t.Fatal(err)
		}
		trigger, err := n.catalog.View().Trigger("f", onceRoute().Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&once{n.Gateway, trigger.Route.Idempotency, trigger}).longest(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
