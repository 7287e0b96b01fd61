package dispatch

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// attempted is work that has been through unwrap.
func attempted(retry function.Retry) *work {
	t := &catalog.Trigger{UID: 5, Function: "f", Trigger: function.Trigger{Name: "t", Topic: "events", Retry: retry}}
	w := &work{
		trigger: t, cause: newEvent("cause", "x", "k"), appended: time.UnixMilli(1e12), keys: keysOf("id", 0),
		position: eventlog.Position{Topic: "events", Offset: 3}, run: "run-1",
	}
	if err := (unwrap{}).do(context.Background(), w); err != nil {
		panic(err)
	}
	return w
}

func TestClassify(t *testing.T) {
	retry := function.Retry{Attempts: 3, Initial: function.Duration(time.Second), Max: function.Duration(time.Minute), Factor: 2, Never: []string{"Bad"}}
	aged := retry
	aged.MaxAge = function.Duration(10 * time.Second)
	now := time.UnixMilli(1e12).Add(8 * time.Second)
	for _, c := range []struct {
		name   string
		retry  function.Retry
		before int
		result *function.Result
		state  function.RunState
		reason string
		wait   time.Duration
	}{
		{"success", retry, 0, succeed(), function.RunSucceeded, "", 0},
		{"first failure", retry, 0, fail("x"), function.RunRetrying, "", time.Second / 2},
		{"second failure", retry, 1, fail("x"), function.RunRetrying, "", time.Second},
		{"last failure", retry, 2, fail("x"), function.RunDead, "used up its 3 attempts", 0},
		{"no retry", retry, 0, &function.Result{Outcome: function.Failed, NoRetry: true}, function.RunDead, "no use", 0},
		{"never", retry, 0, &function.Result{Outcome: function.Failed, Failure: &function.Failure{Type: "Bad"}}, function.RunDead, "retry.never", 0},
		{"asked to wait longer", retry, 0, &function.Result{Outcome: function.Failed, RetryAfter: time.Hour}, function.RunRetrying, "", time.Hour},
		{"asked to wait less", retry, 1, &function.Result{Outcome: function.Failed, RetryAfter: time.Millisecond}, function.RunRetrying, "", time.Second},
		{"within maxAge", aged, 0, fail("x"), function.RunRetrying, "", time.Second / 2},
		{"past maxAge", aged, 0, &function.Result{Outcome: function.TimedOut, RetryAfter: 3 * time.Second}, function.RunDead, "maxAge (10s)", 0},
		{"no rules", function.Retry{}, 0, fail("x"), function.RunDead, "1 attempts", 0},
	} {
		w := attempted(c.retry)
		w.before = make([]function.Attempt, c.before)
		w.result = c.result
		err := classify{now: func() time.Time { return now }, rand: func() float64 { return 0.5 }}.do(context.Background(), w)
		if err != nil || w.state != c.state || !strings.Contains(w.reason, c.reason) {
			t.Errorf("%s: %s %q, %v, want %s %q", c.name, w.state, w.reason, err, c.state, c.reason)
		}
		if c.wait > 0 && w.due.Sub(now) != c.wait {
			t.Errorf("%s: waits %s, want %s", c.name, w.due.Sub(now), c.wait)
		}
	}
}

func TestBackoffHasFullJitterBelowItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := function.Retry{
			Initial: function.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "initial")),
			Max:     function.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "max")),
			Factor:  rapid.Float64Range(0, 100).Draw(t, "factor"),
		}
		n := rapid.IntRange(1, 1000).Draw(t, "attempt")
		low, high := backoff(r, n, 0), backoff(r, n, 0.999999)
		if low != 0 || high < 0 || high > r.Max.Std() {
			t.Fatalf("backoff after attempt %d of %+v is from %s to %s", n, r, low, high)
		}
		if next := backoff(r, n+1, 0.999999); next < high {
			t.Fatalf("backoff falls from %s to %s", high, next)
		}
	})
}

func TestGuard(t *testing.T) {
	aged := function.Retry{Attempts: 3, MaxAge: function.Duration(time.Minute)}
	for _, c := range []struct {
		name   string
		retry  function.Retry
		hops   int32
		age    time.Duration
		before int
		state  function.RunState
		reason string
	}{
		{"fine", aged, event.MaxHops, time.Second, 0, "", ""},
		{"loop", aged, event.MaxHops + 1, time.Second, 0, function.RunDead, "loop"},
		{"too old", aged, 0, time.Hour, 0, function.RunDiscarded, "maxAge (1m"},
		{"too old after an attempt", aged, 0, time.Hour, 1, function.RunDead, "maxAge (1m"},
		{"died with the node", aged, 0, time.Second, 3, function.RunDead, "used up its 3 attempts"},
		{"no age", function.Retry{}, 0, 1e6 * time.Hour, 0, "", ""},
	} {
		w := attempted(c.retry)
		w.cause.Extensions = map[string]any{event.ExtHops: c.hops}
		w.before = make([]function.Attempt, c.before)
		if err := (guard{now: func() time.Time { return w.appended.Add(c.age) }}).do(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		if w.state != c.state || !strings.Contains(w.reason, c.reason) {
			t.Errorf("%s: %q %q, want %q %q", c.name, w.state, w.reason, c.state, c.reason)
		}
	}
}

// emitWith runs the emit stage for one event that a function gave.
func emitWith(t *testing.T, w *work, given *event.Event) {
	t.Helper()
	wd := newWorld(t, setting{})
	defer wd.close()
	w.result, w.state = succeed(given), function.RunSucceeded
	s := emit{quotas: noQuotas{}, topics: &topics{log: wd.disk}, limit: 4096, now: time.Now, view: wd.cat.View}
	if err := s.do(context.Background(), w); err != nil {
		t.Fatal(err)
	}
}

func TestEmittedEventsHaveTheirPlaceInTheChain(t *testing.T) {
	w := attempted(function.Retry{})
	w.cause.Extensions = map[string]any{event.ExtHops: int32(4), event.ExtTraceParent: "00-a-b-01"}
	emitWith(t, w, &event.Event{ID: "mine", Type: "done"})
	if w.state != function.RunSucceeded || len(w.outputs) != 1 || w.outputs[0].Topic != "events" {
		t.Fatalf("state %s %q, outputs %v", w.state, w.reason, w.outputs)
	}
	e, err := eventlog.ToEvent(w.outputs[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		event.ExtOriginID: "mine", event.ExtCausationID: "cause", event.ExtCorrelationID: "cause",
		event.ExtTraceParent: "00-a-b-01", event.ExtPartitionKey: "k",
	} {
		if got := e.Extension(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if e.ID != derivedID("run-1", "emit", 0) || e.Hops() != 5 || e.Source != "/functions/f" {
		t.Errorf("id %s, hops %d, source %s", e.ID, e.Hops(), e.Source)
	}

	// What the function gave itself stays; an inherited correlation goes before the cause's id.
	w = attempted(function.Retry{})
	w.cause.Extensions = map[string]any{event.ExtCorrelationID: "first"}
	emitWith(t, w, &event.Event{Type: "done", Source: "/own", Subject: "s"})
	e, err = eventlog.ToEvent(w.outputs[0])
	if err != nil {
		t.Fatal(err)
	}
	if e.Source != "/own" || e.Key() != "s" || e.Extension(event.ExtCorrelationID) != "first" || e.Extension(event.ExtOriginID) != "" {
		t.Errorf("event = %+v", e)
	}
}

func TestEventsThatMayNotBeEmittedEndTheRun(t *testing.T) {
	for _, c := range []struct {
		name, topic string
		given       *event.Event
		reason      string
		typ         string
	}{
		{"reserved type", "out", &event.Event{Type: "dalamb.function.deployed.v1"}, "denied: event 0 of the answer: only dalamb writes events of type", "Dalamb.Denied"},
		{"system topic", "_dalamb.runs", &event.Event{Type: "x"}, "denied: event 0 of the answer: only dalamb writes to topic _dalamb.runs", "Dalamb.Denied"},
		{"unknown topic", "evnts", &event.Event{Type: "x"}, `not found: event 0 of the answer: there is no topic "evnts"`, "Dalamb.NotFound"},
		{"too large", "out", &event.Event{Type: "x", Data: make([]byte, 5000)}, "too large: event 0 of the answer: ", "Dalamb.TooLarge"},
		{"invalid", "out", &event.Event{}, "invalid: event 0 of the answer: no valid CloudEvent", "Dalamb.Invalid"},
	} {
		w := attempted(function.Retry{Attempts: 5})
		w.attempt.Number, w.emitTo = 1, c.topic
		emitWith(t, w, c.given)
		if w.state != function.RunDead || !strings.HasPrefix(w.reason, c.reason) || len(w.outputs)+len(w.emitted) != 0 {
			t.Errorf("%s: %s %q with %d outputs, want dead: %s", c.name, w.state, w.reason, len(w.outputs), c.reason)
		}
		if f := w.attempt.Failure; w.attempt.Outcome != function.BadAnswer || f == nil || f.Type != c.typ {
			t.Errorf("%s: attempt = %+v with failure %+v, want type %s", c.name, w.attempt, f, c.typ)
		}
	}
}

func TestIdentitiesDifferWhereTheyMust(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{
		runID("a", 0, 0, 0, ""), runID("b", 0, 0, 0, ""), runID("a", 1, 0, 0, ""), runID("a", 0, 1, 0, ""), runID("a", 0, 0, 1, ""),
		runID("a", 0, 0, 0, "again"), derivedID("a", "emit", 0), derivedID("a", "emit", 1), derivedID("a", "attempt", 0), derivedID("b", "emit", 0),
	} {
		if seen[id] || len(id) != 36 || id[14] != '8' {
			t.Errorf("id %s is not unique or no UUID", id)
		}
		seen[id] = true
	}
	if again := runID("a", 0, 0, 0, ""); !seen[again] {
		t.Error("a run's id is not the same the second time")
	}
}

func TestARunsResultIsKept(t *testing.T) {
	for _, c := range []struct {
		name, body string
		json, raw  int
		size       int64
	}{
		{"json", `{"a":1}`, 7, 0, 0},
		{"text", `hello`, 0, 5, 0},
		{"long", `"` + strings.Repeat("x", function.MaxResultKept) + `"`, 0, function.MaxResultKept, function.MaxResultKept + 2},
		{"empty", ``, 0, 0, 0},
	} {
		w := attempted(function.Retry{})
		w.result, w.state = succeed(), function.RunSucceeded
		w.result.Body = []byte(c.body)
		if err := (record{now: time.Now}).do(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		var run function.Run
		if err := json.Unmarshal(w.records[0].Value, &run); err != nil {
			t.Fatal(err)
		}
		if len(run.Result) != c.json || len(run.ResultRaw) != c.raw {
			t.Errorf("%s: result %d bytes, raw %d, want %d and %d", c.name, len(run.Result), len(run.ResultRaw), c.json, c.raw)
		}
		if run.ResultSize != c.size {
			t.Errorf("%s: resultSize = %d, want %d", c.name, run.ResultSize, c.size)
		}
	}
}
