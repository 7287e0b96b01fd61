package function

import (
	"strings"
	"testing"
)

func TestWhatARouteLeavesInTheLog(t *testing.T) {
	for _, r := range []Record{RecordFull, RecordMeta, RecordNone} {
		s, err := routeOf(t, "record: "+string(r))
		if err != nil || s.Triggers[0].Route.Record != r {
			t.Errorf("record: %s = %v", r, err)
		}
	}
	for more, want := range map[string]string{
		"record: some":                               `record: "some" is not known`,
		"record: none, durable: true":                "record: what is durable is the record",
		"record: meta, idempotency: true":            "record: idempotency keeps the answer",
		"record: none, idempotency: true":            "record: idempotency keeps the answer",
		"record: meta, async: true":                  "record: a request that is answered later is in the log",
		"record: meta, scatter: {functions: [a, b]}": "record: the parts are calls of their functions",
		"record: meta, redirect: {to: /y}":           "record: a route that asks no function",
	} {
		if _, err := routeOf(t, more); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
	}
	s, err := routeOf(t, "record: none, async: preferred")
	if err != nil {
		t.Fatal(err)
	}
	rollout := defaultRollout()
	s.Rollout = &rollout
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "the gates of the roll-out count requests by their records") {
		t.Errorf("with a roll-out: %v", err)
	}
	s.Triggers[0].Route.Record = RecordMeta
	if err := s.Validate(); err != nil && strings.Contains(err.Error(), "records") {
		t.Errorf("meta with a roll-out: %v", err)
	}
}
