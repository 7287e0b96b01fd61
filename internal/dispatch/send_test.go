package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// outcomes reads what was sent to a topic, by the id of the event that the run was about.
func (w *world) outcomes(topic string) map[string]outcome {
	w.t.Helper()
	all := map[string]outcome{}
	for _, r := range w.records(topic) {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			w.t.Fatalf("read an outcome: %v", err)
		}
		if e.Type != event.TypeInvocationSucceeded && e.Type != event.TypeInvocationFailed {
			continue
		}
		var o outcome
		if err := json.Unmarshal(e.Data, &o); err != nil {
			w.t.Fatalf("decode an outcome: %v", err)
		}
		id := e.Extension(event.ExtCausationID)
		if _, twice := all[id]; twice {
			w.t.Errorf("the outcome of %s was sent twice", id)
		}
		all[id] = o
	}
	return all
}

func TestOutcomesGoToTheirDestinations(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	out := &function.Destination{Topic: "out"}
	w.deploy("f", function.Trigger{
		Name: "t", Rules: function.Rules{OnSuccess: out, OnFailure: out},
		Retry: function.Retry{Attempts: 2, Initial: function.Duration(time.Millisecond), Never: []string{"Never"}},
	})
	w.deploy("quiet", function.Trigger{Name: "t"})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		e := c.Invocation.Event
		switch r := succeed(); e.Type {
		case "json":
			r.Body = []byte(`{"a":1}`)
			return r, nil
		case "text":
			r.Body = []byte("plain")
			return r, nil
		case "never":
			r := fail("no")
			r.Failure.Type = "Never"
			return r, nil
		case "reserved":
			return succeed(&event.Event{Type: "dalamb.run.finished.v1"}), nil
		}
		return fail("no"), nil
	}))
	w.append("events", newEvent("1", "json", "k"), newEvent("2", "text", "k"), newEvent("3", "fails", "k"), newEvent("4", "never", ""), newEvent("5", "reserved", ""))
	for _, run := range w.awaitFinished(10) {
		if (run.Sent != nil) != (run.Function == "f") {
			t.Errorf("run of %s on %s: sent %+v", run.Event.ID, run.Function, run.Sent)
		}
	}
	got := w.outcomes("out")
	for _, want := range []struct {
		id, condition, failed, payload string
		count                          int
	}{
		{"1", "Success", "", `{"a":1}`, 1}, {"2", "Success", "", `"plain"`, 1},
		{"3", "RetriesExhausted", "Unhandled", `{"errorType":"Error","errorMessage":"no"}`, 2},
		{"4", "NotRetryable", "Unhandled", `{"errorType":"Never","errorMessage":"no"}`, 1},
		{"5", "AnswerRefused", "Unhandled", `{"errorType":"Dalamb.Denied"`, 1},
	} {
		o := got[want.id]
		if string(o.RequestContext.Condition) != want.condition || o.RequestContext.Count != want.count || o.ResponseContext.FunctionError != want.failed ||
			!strings.HasPrefix(string(o.ResponsePayload), want.payload) || o.ResponseContext.ExecutedVersion != "1" || o.RequestContext.FunctionARN != "arn:aws:lambda:us-east-1:000000000000:function:f" || o.Version != "1.0" {
			t.Errorf("outcome of %s = %+v with payload %s, want %+v", want.id, o, o.ResponsePayload, want)
		}
		var asked struct{ ID string }
		if err := json.Unmarshal(o.RequestPayload, &asked); err != nil || asked.ID != want.id {
			t.Errorf("outcome of %s has the request %s, %v", want.id, o.RequestPayload, err)
		}
	}
	for _, r := range w.records("out") {
		if e, err := eventlog.ToEvent(r); err != nil || e.Hops() != 1 || !strings.HasSuffix(e.Extension(event.ExtChain), ">f") {
			t.Errorf("event = %+v, %v, want one hop, by f", e, err)
		}
	}
}

// TestAnOutcomeIsSentOnceWhateverHappens lets nodes die between the run and the commit.
func TestAnOutcomeIsSentOnceWhateverHappens(t *testing.T) {
	var n atomic.Int32
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log {
		return brittle{l, func() (bool, bool) { k := n.Add(1); return k%7 == 0, k%5 == 0 }}
	}})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Rules: function.Rules{OnSuccess: &function.Destination{Function: "g"}}})
	w.deploy("g")
	var l ledger
	seen := map[string]int{}
	player := play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function == "f" {
			l.note(c)
			return succeed(), nil
		}
		var o outcome
		if err := json.Unmarshal(c.Invocation.Payload, &o); err != nil {
			return nil, err
		}
		return succeed(), nil
	})
	w.node(player)
	for i := range 40 {
		w.append("events", newEvent(fmt.Sprint(i), "x", fmt.Sprint(i%3)))
		if i%15 == 14 {
			w.node(player)
		}
	}
	for _, run := range w.awaitFinished(80) {
		seen[run.Function]++
	}
	if seen["f"] != 40 || seen["g"] != 40 {
		t.Errorf("runs = %v, want 40 of each", seen)
	}
	if calls := len(w.records(function.TopicInvoke)); calls != 40 {
		t.Errorf("%d calls of g stand in the log, want 40", calls)
	}
}

func TestADestinationThatIsNotThereIsToldOfInTheRun(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	w.deploy("f", function.Trigger{Name: "t", Rules: function.Rules{OnSuccess: &function.Destination{Topic: "out"}, OnFailure: &function.Destination{Function: "nobody"}}})
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Event.Type == "bad" {
			return fail("no"), nil
		}
		return succeed(), nil
	}))
	w.append("events", newEvent("0", "x", ""))
	w.awaitFinished(1)
	if err := w.disk.DeleteTopic(context.Background(), "out"); err != nil { // while the node remembers it
		t.Fatal(err)
	}
	w.append("events", newEvent("1", "x", ""), newEvent("2", "x", ""), newEvent("3", "bad", ""))
	for _, run := range w.awaitFinished(4) {
		state, reason := function.RunSucceeded, `there is no topic "out"`
		switch run.Event.ID {
		case "0":
			reason = ""
		case "3":
			state, reason = function.RunDead, `there is no function "nobody"`
		}
		if run.State != state || run.Sent == nil || !strings.Contains(run.Sent.Error, reason) || (reason == "") != (run.Sent.Error == "") {
			t.Errorf("run of %s is %s, sent %+v; want %s and %q", run.Event.ID, run.State, run.Sent, state, reason)
		}
	}
}

func TestAnOutcomeThatIsTooLargeGoesWithoutItsPayload(t *testing.T) {
	for _, c := range []struct {
		request, response int
		omitted           []string
	}{{10, 10, nil}, {10, 3000, []string{"responsePayload"}}, {3000, 3000, []string{"responsePayload", "requestPayload"}}} {
		w := attempted(function.Retry{})
		w.input.Data = fmt.Appendf(nil, "%q", strings.Repeat("x", c.request))
		w.result, w.state = succeed(), function.RunSucceeded
		w.result.Body = fmt.Appendf(nil, "%q", strings.Repeat("y", c.response))
		w.attempt = function.Attempt{Number: 1, Version: 1, Outcome: function.Succeeded}
		b, err := send{limit: 2000, now: time.Now}.outcome(w)
		var o outcome
		if err == nil {
			err = json.Unmarshal(b, &o)
		}
		if err != nil || len(b) > 2000 || !slices.Equal(o.Omitted, c.omitted) {
			t.Errorf("%d and %d bytes: %d bytes without %v, %v; want at most 2000 without %v", c.request, c.response, len(b), o.Omitted, err, c.omitted)
		}
	}
}

// watched is a log that says what was appended to a topic before the commits.
type watched struct {
	eventlog.Log
	appended atomic.Int32
}

func (l *watched) Append(ctx context.Context, rs []eventlog.Record) ([]eventlog.Position, error) {
	for i := range rs {
		if rs[i].Topic == "out" {
			l.appended.Add(1)
		}
	}
	return l.Log.Append(ctx, rs)
}

func TestEffectsAtLeastOnceAreAppendedBeforeTheCommit(t *testing.T) {
	seen := &watched{}
	w := newWorld(t, setting{partitions: 1, wrap: func(l eventlog.Log) eventlog.Log {
		seen.Log = l
		return seen
	}})
	defer w.close()
	emit := &function.Emit{Topic: "out"}
	w.deploy("loose", function.Trigger{Name: "t", Emit: emit, Rules: function.Rules{Effects: function.EffectsAtLeastOnce}})
	w.deploy("exact", function.Trigger{Name: "t", Emit: emit, Rules: function.Rules{Effects: function.EffectsExactlyOnce}})
	w.deploy("lost", function.Trigger{Name: "t", Emit: &function.Emit{Topic: "away"}, Rules: function.Rules{Effects: function.EffectsAtLeastOnce}})
	tr := &troupe{emits: true}
	w.node(tr.player())
	for i := range 20 {
		w.append("events", newEvent(fmt.Sprintf("%03d", i), "x", "k"))
	}
	dead := 0
	for _, run := range w.awaitFinished(60) {
		if run.State == function.RunDead && run.Function == "lost" {
			dead++
		} else if run.State != function.RunSucceeded || len(run.Emitted) != 2 {
			t.Errorf("run of %s on %s is %s with %d events", run.Event.ID, run.Function, run.State, len(run.Emitted))
		}
	}
	if n := seen.appended.Load(); n != 40 || dead != 20 {
		t.Errorf("%d events were appended beside the commits, %d runs are dead; want 40 and 20", n, dead)
	}
	ids := map[string]bool{}
	for _, r := range w.records("out") {
		e, err := eventlog.ToEvent(r)
		if err != nil || ids[e.ID] {
			t.Errorf("event %+v, %v; want each once, as no node died", e, err)
		}
		ids[e.ID] = true
	}
	if len(ids) != 80 {
		t.Errorf("%d events, want 80", len(ids))
	}
}
