package series

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestNamesBeyondTheBoundAreCountedTogether(t *testing.T) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a"}, []string{"function", "trigger"})
	b := NewBound("function", "trigger", 100, v)
	count := func(from, to int) {
		for i := from; i < to; i++ {
			v.WithLabelValues(b.Of(fmt.Sprintf("f%d\"\n{}", i), "t")...).Inc()
		}
	}
	count(0, 10000)
	if got := series(v); got != 101 {
		t.Errorf("10000 names have %d series, want 101", got)
	}
	b.Keep(func(string, string) bool { return false })
	if got := series(v); got != 1 {
		t.Errorf("what is gone has %d series, want that of the others alone", got)
	}
	count(20000, 20050)
	if got := series(v); got != 51 {
		t.Errorf("50 new names have %d series, want 51", got)
	}
}

func series(c prometheus.Collector) (n int) {
	all := make(chan prometheus.Metric)
	go func() { defer close(all); c.Collect(all) }()
	for range all {
		n++
	}
	return n
}
