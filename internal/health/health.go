// Package health grades how a node and its functions do: healthy, degraded or unhealthy, by rolling averages that are held against
// bounds. It is told of the work and measures nothing itself, and what follows from a grade is for others to decide. Whether a part of
// the node works at all is not asked here (app does).
package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Grade is how something does; a larger one is worse.
type Grade uint8

// The grades.
const (
	Healthy Grade = iota
	Degraded
	Unhealthy
)

// String is the grade's word, as it is on the wire.
func (g Grade) String() string {
	return [...]string{"healthy", "degraded", "unhealthy"}[g]
}

// Names of measures.
const (
	Store    = "store"    // seconds until the log has stored something
	Queue    = "queue"    // calls that wait for an instance
	Errors   = "errors"   // share of calls that failed: of a node those that dalamb could not make, of a function those that it failed too
	Response = "response" // seconds from a call to its answer; of answers that stream it is not known
)

// Limit says from where on an average is no longer healthy; 0 = it never is.
type Limit struct{ Degraded, Unhealthy float64 }

// Limits are the bounds of all measures.
type Limits struct{ Store, Queue, Errors, Response Limit }

// Measure is one average over the window.
type Measure struct {
	Name    string
	Grade   Grade
	Average float64
	P95     float64 // of Response: 95 of 100 samples are at most so large, to about a tenth; 0 = of none
	Samples int
	Limit   Limit
}

// Report is how a node, or a function, does: its grade is the worst of its measures.
type Report struct {
	Grade    Grade
	Measures []Measure
	Window   time.Duration // that the measures are of
}

// Options of New. Window is required.
type Options struct {
	Window  time.Duration // that the averages are of
	Limits  Limits
	Queued  func() map[string]int // calls that wait, by function; nil = none do
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Health keeps the averages. Safe for concurrent use.
type Health struct {
	o       Options
	latest  atomic.Pointer[reports]
	metrics *metrics

	mu        sync.Mutex
	node      *subject
	functions map[string]*subject
}

// reports are all of one moment.
type reports struct {
	node      Report
	functions map[string]Report
}

// New checks the options and starts nothing.
func New(o Options) (*Health, error) {
	if o.Window < slots {
		return nil, errors.New("health needs a window")
	}
	if o.Queued == nil {
		o.Queued = func() map[string]int { return nil }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Health{o: o, functions: map[string]*subject{}}
	h.node = newSubject(o, Store, Queue, Errors, Response)
	h.latest.Store(&reports{node: h.node.report(o.Now())})
	var err error
	if h.metrics, err = newMetrics(o.Metrics, h); err != nil {
		return nil, fmt.Errorf("register health metrics: %w", err)
	}
	return h, nil
}

// Node is how the node does, as it was judged last.
func (h *Health) Node() Report { return h.latest.Load().node }

// Function is how a function does on this node. One that was not called for a while is healthy, without samples.
func (h *Health) Function(name string) Report {
	if r, ok := h.latest.Load().functions[name]; ok {
		return r
	}
	return newSubject(h.o, functionMeasures()...).report(h.o.Now())
}

// Stored tells how long the log took for something.
func (h *Health) Stored(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.node.add(Store, h.o.Now(), took.Seconds())
}

// Run judges, ten times in a window, until ctx is done.
func (h *Health) Run(ctx context.Context) error {
	tick := time.NewTicker(h.o.Window / slots)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.judge()
		}
	}
}

// judge takes a sample of what waits, judges everything, and says what has changed. Of functions that were not called for a window
// nothing is kept.
func (h *Health) judge() {
	queued := h.o.Queued() // before the mutex: it takes one of its own
	h.mu.Lock()
	now, next := h.o.Now(), &reports{functions: map[string]Report{}}
	total := 0
	for name, n := range queued {
		total += n
		if s := h.functions[name]; s == nil && n > 0 {
			h.functions[name] = newSubject(h.o, functionMeasures()...)
		}
	}
	h.node.add(Queue, now, float64(total))
	next.node = h.node.report(now)
	for name, s := range h.functions {
		s.add(Queue, now, float64(queued[name]))
		if queued[name] == 0 && s.idle(now) {
			delete(h.functions, name)
			continue
		}
		next.functions[name] = s.report(now)
	}
	h.mu.Unlock()
	before := h.latest.Swap(next)
	h.tell(before.node, next.node)
	for name, r := range next.functions {
		h.tell(before.functions[name], r, "function", name)
	}
}

// tell logs a change of grade, with the measures that are the reason.
func (h *Health) tell(before, now Report, whom ...any) {
	if before.Grade == now.Grade {
		return
	}
	level := slog.LevelWarn
	if now.Grade < before.Grade {
		level = slog.LevelInfo
	}
	args := append(whom, "grade", now.Grade.String(), "before", before.Grade.String())
	for _, m := range now.Measures {
		if m.Grade != Healthy {
			args = append(args, m.Name, m.Average)
		}
	}
	h.o.Logger.Log(context.Background(), level, "health has changed", args...)
}
