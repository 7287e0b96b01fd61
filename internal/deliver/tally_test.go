package deliver

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

func TestWhatCountsAsAnInvocation(t *testing.T) {
	ok := function.Attempt{ID: "a", Version: 2, Outcome: function.Succeeded, Duration: function.Duration(time.Second)}
	bad := function.Attempt{ID: "b", Version: 2, Outcome: function.Crashed, Duration: function.Duration(time.Second)}
	run := func(state function.RunState, attempts ...function.Attempt) function.Run {
		return function.Run{ID: "r", Function: "pay", State: state, Attempts: attempts}
	}
	request := func(change func(*function.Request)) function.Request {
		q := function.Request{Function: "pay", Version: 2, Status: 200, Outcome: function.Succeeded, Duration: function.Duration(time.Second)}
		change(&q)
		return q
	}
	for name, test := range map[string]struct {
		typ     string
		subject string
		data    any
		want    *invocation
	}{
		"a request":           {event.TypeRequestCompleted, "pay", request(func(*function.Request) {}), &invocation{version: 2, took: time.Second}},
		"another function's":  {event.TypeRequestCompleted, "mail", request(func(*function.Request) {}), nil},
		"one that started it": {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Cold = true }), &invocation{version: 2}},
		"an error of its own": {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Status, q.Outcome = 500, function.Failed }), &invocation{version: 2, failed: true}},
		"the client's fault": {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Status, q.Outcome = 404, function.Failed }),
			&invocation{version: 2, took: time.Second}},
		"a lambda's 500":         {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Status = 500 }), &invocation{version: 2, failed: true}},
		"a call by name":         {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Status, q.Outcome = 0, function.Failed }), &invocation{version: 2, failed: true}},
		"a run":                  {event.TypeRunFinished, "r", run(function.RunSucceeded, ok), &invocation{version: 2, took: time.Second}},
		"a failed attempt":       {event.TypeAttemptFailed, "r", run(function.RunRetrying, ok, bad), &invocation{version: 2, failed: true}},
		"a run without attempts": {event.TypeRunFinished, "r", run(function.RunDiscarded), nil},
		"a batch":                {event.TypeBatchFinished, "r", function.RunBatch{Run: run(function.RunSucceeded, ok), Others: make([]function.RunRef, 9)}, &invocation{version: 2, took: time.Second}},
		"something else":         {event.TypeDeadLetterResolved, "pay", "x", nil},
		"no version":             {event.TypeRequestCompleted, "pay", request(func(q *function.Request) { q.Version = 0 }), nil},
		"no request":             {event.TypeRequestCompleted, "pay", "x", nil},
	} {
		r := &reader{function: "pay", told: map[string]bool{}}
		rec := record(t, function.TopicRuns, test.typ, test.subject, test.data)
		got, ok := r.read(&rec)
		if ok != (test.want != nil) {
			t.Errorf("%s: counted %v, want %v", name, ok, test.want != nil)
			continue
		}
		if got.at = (time.Time{}); ok && got != *test.want {
			t.Errorf("%s: %+v, want %+v", name, got, *test.want)
		}
	}
}

func TestAnAttemptCountsOnce(t *testing.T) {
	r := &reader{function: "pay", told: map[string]bool{}}
	bad := function.Attempt{ID: "b", Version: 2, Outcome: function.Failed}
	first := record(t, function.TopicRuns, event.TypeAttemptFailed, "r", function.Run{ID: "r", Function: "pay", Attempts: []function.Attempt{bad}})
	then := record(t, function.TopicRuns, event.TypeRunFinished, "r", function.Run{ID: "r", Function: "pay", State: function.RunDead, Attempts: []function.Attempt{bad}})
	_, one := r.read(&first)
	_, two := r.read(&then)
	if !one || two {
		t.Errorf("the attempt was counted %v, and with the end of its run %v; want once", one, two)
	}
}

func TestThe95thOfAHundred(t *testing.T) {
	var empty, many tally
	for n := range 100 {
		many.add(invocation{took: time.Duration(100-n) * time.Millisecond})
	}
	if got := many.figures().P95.Std(); got != 95*time.Millisecond {
		t.Errorf("p95 = %s, want 95ms", got)
	}
	for range keptTimes {
		many.add(invocation{took: time.Microsecond})
	}
	if f := many.figures(); f.P95.Std() != time.Microsecond || f.Invocations != 100+keptTimes {
		t.Errorf("%+v, want the newest to count", f)
	}
	empty.add(invocation{failed: true})
	if f := empty.figures(); f.P95 != 0 || f.ErrorRate() != 100 {
		t.Errorf("%+v, want no p95 of what failed", f)
	}
}
