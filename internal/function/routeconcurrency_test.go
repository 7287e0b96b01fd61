package function

import (
	"strings"
	"testing"
	"time"
)

func TestHowManyAtATime(t *testing.T) {
	s, err := routeOf(t, "concurrency: {max: 8, queue: 16, adaptive: true}")
	if err != nil {
		t.Fatal(err)
	}
	r := s.Triggers[0].Route.Concurrency
	if *r != (RouteConcurrency{Max: 8, Queue: 16, Adaptive: true}) || r.Patience() != time.Second {
		t.Errorf("concurrency = %+v, waits %v", r, r.Patience())
	}
	for text, want := range map[string]string{
		"concurrency: {}":                           "concurrency.max: 0 is out of range",
		"concurrency: {max: 100001}":                "concurrency.max: 100001 is out of range",
		"concurrency: {max: 1, queue: -1}":          "concurrency.queue: -1 is out of range",
		"concurrency: {max: 1, wait: 1s}":           "concurrency.wait: nobody waits where there is no queue",
		"concurrency: {max: 1, queue: 1, wait: 2m}": "concurrency.wait: 2m is out of range",
		"concurrency: 8":                            "concurrency",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}
