package health

import (
	"math"
	"testing"
	"time"
)

func TestTheP95IsThatOfTheSamplesToATenth(t *testing.T) {
	for name, c := range map[string]struct {
		samples []float64
		want    float64
	}{
		"all alike":                {repeat(100, .2), .2},
		"one in a hundred is slow": {append(repeat(99, .002), 30), .002},
		"one in ten is slow":       {append(repeat(90, .002), repeat(10, 3)...), 3},
		"one sample":               {[]float64{.05}, .05},
		"none":                     {nil, 0},
	} {
		m, now := newMeter(limits().Response, false, window), time.Unix(1_000_000, 0)
		for i, v := range c.samples {
			m.add(now.Add(time.Duration(i%5)*3*time.Second), v) // in several slots
		}
		if got := m.judge(Response, now.Add(12*time.Second)).P95; math.Abs(got-c.want) > c.want*.1 {
			t.Errorf("%s: P95 = %g, want %g", name, got, c.want)
		}
	}
	var s spread
	for _, v := range []float64{math.NaN(), -1, 0, math.Inf(1), 1e9} {
		s.add(v) // has a place, whatever it is
	}
	if s[0] != 3 || s[places-1] != 2 {
		t.Errorf("odd samples are at %v", s)
	}
	if m := newMeter(limits().Errors, true, window); m.judge(Errors, time.Unix(1, 0)).P95 != 0 {
		t.Error("errors have a P95")
	}
}
