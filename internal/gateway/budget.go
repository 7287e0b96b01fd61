package gateway

import (
	"sync"
	"time"
)

// Bounds of what a function is asked beside the requests of clients.
const (
	extraWindow = 10 * time.Second
	extraFree   = 10 // in a window, however few requests there are
)

// extras bounds the attempts beside the first ones to a part of a route's requests over the last extraWindow, so that what helps
// against single failures does not add to an overload. Seconds are counted whole.
type extras struct {
	part float64

	mu      sync.Mutex
	seconds [extraWindow / time.Second]counted
}

// counted is what came in one second.
type counted struct {
	second          int64 // in Unix time
	requests, extra int
}

// request counts one of a client's.
func (e *extras) request(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at(now.Unix()).requests++
}

// take asks for one more attempt.
func (e *extras) take(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	requests, extra, current := 0, 0, now.Unix()
	for _, s := range e.seconds {
		if s.second > current-int64(len(e.seconds)) {
			requests += s.requests
			extra += s.extra
		}
	}
	if extra >= extraFree && float64(extra+1) > e.part*float64(requests) {
		return false
	}
	e.at(current).extra++
	return true
}

// at is the count of a second, which begins anew when it held an older one's. The caller holds mu.
func (e *extras) at(second int64) *counted {
	s := &e.seconds[second%int64(len(e.seconds))]
	if s.second != second {
		*s = counted{second: second}
	}
	return s
}
