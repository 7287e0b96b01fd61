//go:build linux

package native

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDemandIsTheBusiestSecondOfTheLastMinute(t *testing.T) {
	var d demand
	now := time.Unix(1_000_000, 0)
	for at, starts := range map[time.Duration]int{0: 3, 10 * time.Second: 7, 20 * time.Second: 1} {
		for n := range starts {
			d.note(now.Add(at + time.Duration(n)*time.Millisecond))
		}
	}
	for after, want := range map[time.Duration]int{20 * time.Second: 7, 69 * time.Second: 7, 70 * time.Second: 1, 80 * time.Second: 0, time.Hour: 0} {
		if got := d.peak(now.Add(after)); got != want {
			t.Errorf("peak after %v = %d, want %d", after, got, want)
		}
	}
}

func TestSparesFollowTheStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made, gone := 0, 0
		s := &spares{
			least: 2, most: 6, now: time.Now, over: make(chan struct{}),
			make:    func(kind) (*nest, error) { made++; <-time.After(5 * time.Millisecond); return &nest{}, nil },
			discard: func(*nest) { gone++ },
		}
		waits := func() int {
			s.makers.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.waiting)
		}
		start := func() {
			s.begin()
			s.pop()
			s.refill()
		}
		start()
		if got := waits(); got != 2 {
			t.Errorf("%d wait after one start, want the least, 2", got)
		}
		for range 4 {
			start()
		}
		if got := waits(); got != 5 {
			t.Errorf("%d wait after 5 starts in a second, want as many", got)
		}
		for range 20 {
			start()
		}
		if got := waits(); got != 6 {
			t.Errorf("%d wait after 25 starts in a second, want the most, 6", got)
		}
		s.begin()
		s.pop()
		time.Sleep(time.Second)
		if got := waits(); got != 5 {
			t.Errorf("%d wait while a start is under way, want none made meanwhile", got)
		}
		s.refill()
		time.Sleep(2 * time.Minute)
		start()
		if got := waits(); got != 2 {
			t.Errorf("%d wait after two quiet minutes and a start, want the least", got)
		}
		s.close()
		if gone < 4 {
			t.Errorf("%d of %d were discarded, want those that nobody needed", gone, made)
		}
	})
}
