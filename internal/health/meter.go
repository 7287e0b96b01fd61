package health

import "time"

const (
	// slots is how many parts a window has; it moves on by one of them.
	slots = 10
	// least is how many samples a window needs for a grade to become worse.
	least = 10
	// leastTaken is that of what is sampled once in a slot: ticks come late, and a window may then have fewer samples than slots.
	leastTaken = slots / 2
	// calm is the part of a bound below which an average has to fall before the grade is better again.
	calm = 0.8
	// spike bounds what one sample adds to an average that is judged, in bounds: an average is over its bound only where many samples are.
	spike = 2
	// forgiven is how many of the failures in a window are left out of a share that is judged.
	forgiven = 1
)

// meter is a rolling average and its grade. Not safe for concurrent use.
type meter struct {
	limit Limit
	share bool // samples are 0 or 1
	slot  time.Duration
	ring  [slots]slot
	grade Grade
}

type slot struct {
	at       int64 // number of this slot since the beginning of time
	samples  int
	sum      float64
	degraded float64 // the sum of the samples as they are judged by this bound
	ill      float64 // by the bound of Unhealthy
	spread   spread
}

func newMeter(l Limit, share bool, window time.Duration) *meter {
	return &meter{limit: l, share: share, slot: window / slots}
}

func (m *meter) add(now time.Time, v float64) {
	at := now.UnixNano() / int64(m.slot)
	s := &m.ring[at%slots]
	if s.at != at {
		*s = slot{at: at}
	}
	s.samples++
	s.sum += v
	s.spread.add(v)
	if m.share {
		s.degraded += v
		s.ill += v
		return
	}
	s.degraded += min(v, spike*m.limit.Degraded)
	s.ill += min(v, spike*m.limit.Unhealthy)
}

// window adds up what is not too old.
func (m *meter) window(now time.Time) (all slot) {
	first := now.UnixNano()/int64(m.slot) - slots
	for i := range m.ring {
		if s := &m.ring[i]; s.at > first {
			all.samples += s.samples
			all.sum += s.sum
			all.degraded += s.degraded
			all.ill += s.ill
			all.spread.merge(&s.spread)
		}
	}
	return all
}

// judge gives the measure as it stands, and keeps its grade for the next time: a bound that was passed is left at calm of it.
func (m *meter) judge(name string, now time.Time) Measure {
	w := m.window(now)
	before := m.grade
	m.grade = Healthy
	out := Measure{Name: name, Samples: w.samples, Limit: m.limit}
	if w.samples == 0 {
		return out
	}
	n := float64(w.samples)
	out.Average = w.sum / n
	if name == Response {
		out.P95 = w.spread.quantile(.95, w.samples)
	}
	if m.share {
		w.degraded, w.ill = w.degraded-forgiven, w.ill-forgiven
	}
	over := func(sum, bound float64, was bool) bool {
		if was {
			bound *= calm
		}
		return bound > 0 && sum > bound*n
	}
	switch {
	case over(w.ill, m.limit.Unhealthy, before == Unhealthy):
		m.grade = Unhealthy
	case over(w.degraded, m.limit.Degraded, before != Healthy):
		m.grade = Degraded
	}
	enough := least
	if name == Queue {
		enough = leastTaken
	}
	if w.samples < enough {
		m.grade = min(m.grade, before)
	}
	out.Grade = m.grade
	return out
}
