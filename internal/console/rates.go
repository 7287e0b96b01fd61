package console

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	ratesKept  = 60              // looks at one topic that are kept
	ratesEvery = 2 * time.Second // looks that follow sooner say nothing new
	ratesFresh = time.Minute     // a look that is older is none to begin from
	ratesOf    = 200             // topics; those beyond are not measured
)

// topicRate is what a topic holds and takes.
type topicRate struct {
	Name string
	Held int64    // offsets
	Rate *float64 // events a second, since the look before; nil = there was none
	Line string   // the rates so far, as points of an SVG polyline of 100 by 24; "" = too few
}

// rates remember where topics ended whenever somebody looked: what comes in between two looks is their rate. All visitors look together.
type rates struct {
	mu  sync.Mutex
	all map[string][]looked // by the topic's id
}

type looked struct {
	at   time.Time
	ends int64 // the ends of all partitions together
	rate float64
}

func newRates() *rates { return &rates{all: map[string][]looked{}} }

// look tells that a topic ends so far now.
func (r *rates) look(topic string, now time.Time, ends int64) (*float64, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.all[topic]
	n := len(seen)
	if n == 0 && len(r.all) >= ratesOf {
		r.forget(now)
	}
	switch {
	case n > 0 && (now.Sub(seen[n-1].at) > ratesFresh || ends < seen[n-1].ends): // nobody has looked, or it was made again
		seen, n = nil, 0
		fallthrough
	case n == 0:
		if len(r.all) < ratesOf {
			r.all[topic] = []looked{{at: now, ends: ends}}
		}
		return nil, ""
	case now.Sub(seen[n-1].at) >= ratesEvery:
		before := seen[n-1]
		seen = append(seen, looked{at: now, ends: ends, rate: float64(ends-before.ends) / now.Sub(before.at).Seconds()})
		seen = seen[max(0, len(seen)-ratesKept):]
		r.all[topic] = seen
	}
	if len(seen) < 2 {
		return nil, ""
	}
	rate := seen[len(seen)-1].rate
	return &rate, polyline(seen[1:])
}

// forget makes room for a topic.
func (r *rates) forget(now time.Time) {
	for topic, seen := range r.all {
		if now.Sub(seen[len(seen)-1].at) > ratesFresh {
			delete(r.all, topic)
		}
	}
}

func polyline(seen []looked) string {
	if len(seen) < 2 {
		return ""
	}
	most := 1.0
	for _, l := range seen {
		most = max(most, l.rate)
	}
	var b strings.Builder
	for i, l := range seen {
		x := 100 * float64(i) / float64(len(seen)-1)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, 23-22*l.rate/most)
	}
	return strings.TrimSpace(b.String())
}
