package replay

import (
	"math"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// latency counts durations in buckets whose bounds grow by 5 %, from a microsecond on.
type latency struct {
	buckets map[int]int64
	count   int64
	max     time.Duration
}

const growth = 1.05

// Times are how long the last attempts of runs took, and of those that they are held against. The zero value is ready.
type Times struct{ original, replayed latency }

// Add counts a pair of runs. An attempt of which the time is not known is left out.
func (t *Times) Add(original, replayed *function.Run) {
	for _, side := range []struct {
		of   *function.Run
		into *latency
	}{{original, &t.original}, {replayed, &t.replayed}} {
		if n := len(side.of.Attempts); n > 0 && side.of.Attempts[n-1].Duration > 0 {
			side.into.add(side.of.Attempts[n-1].Duration.Std())
		}
	}
}

// Into writes the times into a report.
func (t *Times) Into(r *function.ReplayReport) {
	r.Original, r.Replayed = t.original.summary(), t.replayed.summary()
}

func (l *latency) add(d time.Duration) {
	if l.buckets == nil {
		l.buckets = map[int]int64{}
	}
	n := 0
	if d > time.Microsecond {
		n = int(math.Ceil(math.Log(float64(d)/float64(time.Microsecond)) / math.Log(growth)))
	}
	l.buckets[n]++
	l.count++
	l.max = max(l.max, d)
}

// summary gives the upper bounds of the buckets in which the quantiles are.
func (l *latency) summary() function.ReplayLatency {
	return function.ReplayLatency{P50: l.quantile(0.5), P90: l.quantile(0.9), P99: l.quantile(0.99), Max: function.Duration(l.max)}
}

func (l *latency) quantile(q float64) function.Duration {
	want := int64(math.Ceil(q * float64(l.count)))
	for n, seen := 0, int64(0); seen < want; n++ {
		if seen += l.buckets[n]; seen >= want {
			bound := time.Duration(float64(time.Microsecond) * math.Pow(growth, float64(n)))
			return function.Duration(min(bound, l.max))
		}
	}
	return 0
}
