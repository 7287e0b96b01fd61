package fleet

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/series"
)

// TestSeriesDoNotGrowWithVersions: ten thousand functions are more than a monitoring system takes from one node.
func TestSeriesDoNotGrowWithVersions(t *testing.T) {
	r := prometheus.NewRegistry()
	f, err := New(Options{Starter: struct{ Starter }{}, Functions: struct{ Functions }{}, Code: func(string) (string, error) { return "", nil }, Metrics: r})
	if err != nil {
		t.Fatal(err)
	}
	version := func(i int) *function.Version {
		return &function.Version{Number: i, Spec: function.Spec{Name: fmt.Sprintf("f\"%d\n", i)}}
	}
	for i := range 10000 {
		f.metrics.invoked(version(i), &function.Result{Outcome: function.Succeeded}, nil)
	}
	if got := counted(t, r)["dalamb_version_invocations_total"]; got != series.Most+1 {
		t.Errorf("10000 versions have %d series, want %d", got, series.Most+1)
	}
	f.metrics.forget(version(7), true)
	f.metrics.invoked(version(20000), &function.Result{Outcome: function.Succeeded}, nil)
	if got := counted(t, r)["dalamb_version_invocation_seconds"]; got != series.Most+1 {
		t.Errorf("a new version in the place of one that is gone makes %d series, want %d", got, series.Most+1)
	}
}

// counted are the series of each metric.
func counted(t *testing.T, r *prometheus.Registry) map[string]int {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, family := range all {
		n[family.GetName()] = len(family.GetMetric())
	}
	return n
}
