package fleet

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/function"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		s := &fakeStarter{delay: time.Second, work: func(c *fakeConn, inv *function.Invocation) (*function.Result, error) {
			if inv.Run == "bad" {
				return ended(function.Failed)
			}
			return takes(time.Second)(c, inv)
		}}
		f := start(t, s, newShop(version("pay", scale(0, 1)), version("once", stdio)), func(o *Options) { o.Metrics = registry })
		mustInvoke(t, f, call("pay"))
		mustInvoke(t, f, call("once"))
		bad := call("pay")
		bad.Invocation.Run = "bad"
		mustInvoke(t, f, bad)
		running, waiting := begin(t.Context(), f, call("pay")), begin(t.Context(), f, call("pay"))
		synctest.Wait()

		got := map[string]float64{}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				name := family.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetName() + "=" + l.GetValue()
				}
				switch {
				case m.GetHistogram() != nil:
					got[name] = float64(m.GetHistogram().GetSampleCount())
				case m.GetCounter() != nil:
					got[name] = m.GetCounter().GetValue()
				default:
					got[name] = m.GetGauge().GetValue()
				}
			}
		}
		for name, want := range map[string]float64{
			"dalamb_instances state=busy":                             1,
			"dalamb_instances state=idle":                             0,
			"dalamb_calls_queued":                                     1,
			"dalamb_invocations_total entry=lambda outcome=succeeded": 1,
			"dalamb_invocations_total entry=lambda outcome=failed":    1,
			"dalamb_cold_start_seconds entry=lambda":                  1,
			"dalamb_cold_start_seconds entry=stdio":                   0, // nothing is started before the invocation
			"dalamb_invocations_total entry=stdio outcome=succeeded":  1,
			"dalamb_queue_wait_seconds entry=lambda":                  1,
			"dalamb_invocation_seconds entry=lambda":                  2,
		} {
			if got[name] != want {
				t.Errorf("%s = %v, want %v", name, got[name], want)
			}
		}
		for name := range got {
			if named := strings.HasPrefix(name, "dalamb_version_") || strings.HasPrefix(name, "dalamb_function_"); strings.Contains(name, "pay") && !named { // how many of these there are is bounded
				t.Errorf("%s grows with the number of functions", name)
			}
		}
		<-running
		<-waiting
		if _, err := New(Options{Starter: s, Functions: newShop(), Code: f.o.Code, Metrics: registry}); err == nil {
			t.Error("two fleets share a registry without an error")
		}
	})
}
