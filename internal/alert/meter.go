package alert

import (
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	slots     = 60  // of a window: what is older than the window goes with its slot
	mostTimes = 200 // durations that are kept of a slot
	fewest    = 10  // invocations that a share, or a p95, is of at least: of fewer it says little
)

// sample is one thing that happened.
type sample struct {
	at       time.Time
	kind     function.AlertMeasure // invocations, dead-letters, breakers-opened or log-lines
	function string
	failed   bool
	took     time.Duration // of an invocation; 0 = not to be counted
	line     *function.LogLine
}

// meter counts what happened within a window. One goroutine owns it.
type meter struct {
	slot time.Duration
	ring [slots + 1]slotted // the newest is not full yet
}

type slotted struct {
	number        int64
	count, failed int64
	times         []time.Duration
	next          int // of times, as a ring
}

func newMeter(window time.Duration) *meter { return &meter{slot: window / slots} }

func (m *meter) number(at time.Time) int64 { return at.UnixNano() / int64(m.slot) }

// add counts a sample. One that is older than what its slot is about now is of a window that is over.
func (m *meter) add(s sample) {
	n := m.number(s.at)
	at := &m.ring[n%int64(len(m.ring))]
	switch {
	case n < at.number:
		return
	case n > at.number:
		*at = slotted{number: n, times: at.times[:0]}
	}
	at.count++
	if s.failed {
		at.failed++
	}
	switch {
	case s.took == 0:
	case len(at.times) < mostTimes:
		at.times = append(at.times, s.took)
	default:
		at.times[at.next] = s.took
		at.next = (at.next + 1) % mostTimes
	}
}

// sum is what the window before now has.
func (m *meter) sum(now time.Time) (count, failed int64, times []time.Duration) {
	last := m.number(now)
	for i := range m.ring {
		if s := &m.ring[i]; s.number > last-slots-1 && s.number <= last {
			count += s.count
			failed += s.failed
			times = append(times, s.times...)
		}
	}
	return count, failed, times
}

// wants says whether a sample is one that the alert counts.
func (w *watched) wants(s *sample) bool {
	kind := w.condition.Measure
	switch kind {
	case function.AlertErrorRate, function.AlertP95:
		kind = function.AlertInvocations
	case function.AlertLogLines:
		if s.line != nil && !s.line.Says(w.Level, w.Text) {
			return false
		}
	}
	return s.kind == kind && w.covers(s.function)
}

// measure is the value that the condition is about. It is not known where it would be of too few.
func (w *watched) measure(now time.Time, lags map[string]Lag) (value float64, known bool) {
	if w.condition.Measure == function.AlertLag {
		return float64(w.lag(lags).Events), true
	}
	count, failed, times := w.meter.sum(now)
	switch w.condition.Measure {
	case function.AlertErrorRate:
		if count < fewest {
			return 0, false
		}
		return float64(failed) / float64(count), true
	case function.AlertP95:
		if len(times) < fewest {
			return 0, false
		}
		slices.Sort(times)
		return times[(len(times)*95+99)/100-1].Seconds(), true
	}
	return float64(count), true
}

// lag is that of the trigger which is furthest behind of the functions that the alert is about.
func (w *watched) lag(lags map[string]Lag) (most Lag) {
	for fn, lag := range lags {
		if w.covers(fn) {
			most = Lag{max(most.Events, lag.Events), most.Partial || lag.Partial}
		}
	}
	return most
}

// settles says whether the condition is decided by lags of which some may be Partial: those are lower bounds.
func (w *watched) settles(lags map[string]Lag, firing bool) bool {
	l := w.lag(lags)
	return !l.Partial || w.condition.Holds(float64(l.Events), firing) != w.condition.Below
}
