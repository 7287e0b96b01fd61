// Package series owns how many series the metrics of a node may have, and in which form its histograms are. It does not know what is measured.
package series

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Other stands for all names beyond a bound. No function, trigger or version is called so.
const Other = "_other"

// Most is how many pairs of names a room's metrics tell apart.
const Most = 1000

// Vector is a metric with labels.
type Vector interface {
	DeletePartialMatch(labels prometheus.Labels) int
}

// Bound holds the pairs of names by which metrics are counted, and so many at most: what is deployed can be more than a monitoring system takes. Those
// that come first have series of their own. Safe for concurrent use.
type Bound struct {
	first, second string // the labels
	most          int

	mu      sync.RWMutex
	known   map[[2]string]bool
	vectors []Vector
}

// NewBound makes one for metrics with two labels of these names; most 0 = Most.
func NewBound(first, second string, most int, vectors ...Vector) *Bound {
	if most == 0 {
		most = Most
	}
	return &Bound{first: first, second: second, most: most, known: map[[2]string]bool{}, vectors: vectors}
}

// Of gives the values by which a pair is counted, its own or Other twice, and behind them those of further labels.
func (b *Bound) Of(first, second string, more ...string) []string {
	pair := [2]string{first, second}
	b.mu.RLock()
	known, full := b.known[pair], len(b.known) >= b.most
	b.mu.RUnlock()
	if known {
		return append([]string{first, second}, more...)
	}
	if full {
		return append([]string{Other, Other}, more...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.known[pair] && len(b.known) >= b.most {
		return append([]string{Other, Other}, more...)
	}
	b.known[pair] = true
	return append([]string{first, second}, more...)
}

// Keep forgets the pairs that are no longer there, with their series, so that others have their place.
func (b *Bound) Keep(alive func(first, second string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for pair := range b.known {
		if alive(pair[0], pair[1]) {
			continue
		}
		delete(b.known, pair)
		for _, v := range b.vectors {
			v.DeletePartialMatch(prometheus.Labels{b.first: pair[0], b.second: pair[1]})
		}
	}
}

// Histogram adds to a histogram with buckets the native one, which is exact to a tenth at every size, for those who ask for it.
// Prometheus, "Native histograms".
func Histogram(o prometheus.HistogramOpts) prometheus.HistogramOpts {
	o.NativeHistogramBucketFactor = 1.1
	o.NativeHistogramMaxBucketNumber = 100
	o.NativeHistogramMinResetDuration = time.Hour
	return o
}
