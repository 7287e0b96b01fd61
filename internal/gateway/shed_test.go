package gateway

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/health"
)

func TestTheCheapestIsRefusedFirst(t *testing.T) {
	var now atomic.Pointer[health.Report]
	draw := .5 // of each request
	n := start(t, says("done"), func(o *Options) {
		o.Grade = func() health.Report { return *now.Load() }
		o.Rand = func() float64 { return draw }
	})
	low, normal, high := route("low", "", "/low"), route("normal", "", "/normal"), route("high", "", "/high")
	low.Route.Priority, high.Route.Priority = function.PriorityLow, function.PriorityHigh
	n.deploy("f", low, normal, high)
	limit := health.Limit{Degraded: 100, Unhealthy: 1000}
	for _, c := range []struct {
		name    string
		measure health.Measure
		want    string // statuses of low, normal and high
	}{
		{"healthy", health.Measure{Name: health.Queue, Average: 1, Limit: limit}, "200 200 200"},
		{"degraded by what waits", health.Measure{Name: health.Queue, Grade: health.Degraded, Average: 200, Limit: limit}, "503 200 200"},
		{"degraded by how long it takes", health.Measure{Name: health.Response, Grade: health.Degraded, Average: 200, Limit: limit}, "503 200 200"},
		{"unhealthy, and almost well again", health.Measure{Name: health.Queue, Grade: health.Unhealthy, Average: 900, Limit: limit}, "503 200 200"},
		{"unhealthy, a little", health.Measure{Name: health.Queue, Grade: health.Unhealthy, Average: 1900, Limit: limit}, "503 200 200"},
		{"unhealthy", health.Measure{Name: health.Queue, Grade: health.Unhealthy, Average: 2100, Limit: limit}, "503 503 200"},
		{"functions fail", health.Measure{Name: health.Errors, Grade: health.Unhealthy, Average: 1, Limit: health.Limit{Unhealthy: .5}}, "200 200 200"},
		{"the log is slow", health.Measure{Name: health.Store, Grade: health.Unhealthy, Average: 9, Limit: health.Limit{Unhealthy: 1}}, "200 200 200"},
	} {
		now.Store(&health.Report{Grade: c.measure.Grade, Measures: []health.Measure{c.measure}})
		var got []string
		for _, path := range []string{"/low", "/normal", "/high"} {
			g := n.send("GET", path, "")
			if got = append(got, g.header.Get("Retry-After")); g.status == 503 && got[len(got)-1] != "1" {
				t.Errorf("%s: %s is refused without Retry-After: %s", c.name, path, g.body)
			}
			got[len(got)-1] = map[int]string{200: "200", 503: "503"}[g.status]
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: low, normal and high are answered %s, want %s", c.name, s, c.want)
		}
	}
	if refused := n.metric("dalamb_gateway_crowded_total"); refused != 6 {
		t.Errorf("%v refusals are counted, want 6", refused)
	}
}
