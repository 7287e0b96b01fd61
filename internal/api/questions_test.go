package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keyed is an event of a type with an id and a key.
func keyed(id, typ, key string) *event.Event {
	e := fact(typ, key, 1)
	e.ID = id
	return e
}

// ran tells of a run of an event twice, as a log may.
func (n *node) ran(at eventlog.Position, e *event.Event, r function.Run) {
	n.Helper()
	r.Function, r.Trigger = "pay", "on-order"
	r.Event = function.EventRef{Topic: at.Topic, Partition: at.Partition, Offset: at.Offset, ID: e.ID, Type: e.Type, Subject: e.Subject, Key: e.Extension(event.ExtPartitionKey)}
	typ := event.TypeRunFinished
	if r.State == function.RunRetrying {
		typ = event.TypeAttemptFailed
	}
	n.tell(function.TopicRuns, typ, r.ID, r)
	n.tell(function.TopicRuns, typ, r.ID, r)
	n.settle()
}

func (n *node) explain(id string) wire.Explanation {
	n.Helper()
	e, err := n.client.Explanation(n.Context(), id, "")
	ok(n, err)
	return e
}

func TestAnEventWaitsBehindARunOfItsKey(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.script.unfinished = true
	first, second, other := keyed("1", "order.validated", "k"), keyed("2", "order.validated", "k"), keyed("3", "order.validated", "z")
	at := n.emit("events", first, second, other)
	next := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n.ran(at[0], first, function.Run{ID: "run-1", State: function.RunRetrying, Attempts: []function.Attempt{{Number: 1, Version: 1, Outcome: function.Failed, Next: next}}})
	e := n.explain("1")
	if len(e.Wanted) != 1 || e.Wanted[0].State != "retrying" || len(e.Wanted[0].Runs) != 1 || e.Found.By != "index" {
		t.Errorf("the first = %+v, want one run that is tried again, found by the index", e)
	}
	e = n.explain("2")
	if w := e.Wanted; len(w) != 1 || w[0].State != "waiting" || w[0].Reason != `behind run run-1 of the same key "k", whose attempt 2 is due at 2026-03-01T12:00:00Z` {
		t.Errorf("the second of the key = %+v", e.Wanted)
	}
	if w := n.explain("3").Wanted; len(w) != 1 || w[0].State != "waiting" || strings.Contains(w[0].Reason, "behind run") {
		t.Errorf("one of another key = %+v", w)
	}

	_, err := n.catalog.Submit(t.Context(), catalog.PauseKey{Function: "pay", Trigger: "on-order", Key: "k", Paused: true})
	ok(t, err)
	if w := n.explain("2").Wanted; len(w) != 1 || !strings.HasPrefix(w[0].Reason, `its key "k" is paused`) {
		t.Errorf("with its key paused = %+v", w)
	}
	n.script.unfinished = false
	if w := n.explain("2").Wanted; len(w) != 1 || w[0].State != "unknown" {
		t.Errorf("done with, and no run known = %+v, want unknown", w)
	}
}

func TestRefusedAreGroupedAndBounded(t *testing.T) {
	n := newNode(t)
	manifest := func(name, filter string) string {
		return fmt.Sprintf("name: %s\ncode: .\nentry: {type: stdio, command: [./run]}\ntriggers:\n  - {name: t, topic: events, filter: %s}\n", name, filter)
	}
	for i := range 25 {
		n.deploy(manifest(fmt.Sprint("same-", i), "{type: [a]}"), "one")
		n.deploy(manifest(fmt.Sprint("other-", i), fmt.Sprintf("{type: [b%d]}", i)), "one")
	}
	n.emit("events", keyed("1", "x", "k"))
	n.settle()
	e := n.explain("1")
	if len(e.Refused) != maxRefused || e.More != 6 || len(e.Wanted) != 0 {
		t.Fatalf("%d groups and %d more, want %d and 6", len(e.Refused), e.More, maxRefused)
	}
	if g := e.Refused[0]; g.Path != "type" || g.Reason != `is "x"; wanted ["b0"]` || !slices.Equal(g.Triggers, []string{"other-0/t"}) {
		t.Errorf("the first group = %+v", g)
	}
	g := wire.Refused{Triggers: []string{}}
	groups := map[[2]string]*wire.Refused{}
	for i := range 25 {
		group(groups, "p", "r", fmt.Sprint(i))
	}
	g = *groups[[2]string{"p", "r"}]
	if g.Count != 25 || len(g.Triggers) != maxNamed {
		t.Errorf("a group names %d of %d, want %d of 25", len(g.Triggers), g.Count, maxNamed)
	}
}

func TestTheTreeGoesUpAndDown(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	top, low, leaf := keyed("top", "order.validated", "k"), keyed("low", "order.validated", "k"), keyed("leaf", "paid", "")
	ok(t, low.SetExtension(event.ExtCausationID, "top"))
	ok(t, leaf.SetExtension(event.ExtCausationID, "low"))
	at := n.emit("events", top, low, leaf)
	began := time.Now().Add(-time.Second).UTC().Truncate(time.Millisecond)
	attempt := func(number int) function.Attempt {
		return function.Attempt{Number: number, Version: 1, Outcome: function.Succeeded, Start: began.Add(time.Duration(number) * time.Second), Duration: function.Duration(time.Second / 2)}
	}
	n.ran(at[0], top, function.Run{ID: "run-1", State: function.RunSucceeded, Finished: time.Now(), Attempts: []function.Attempt{attempt(1), attempt(2)},
		Emitted: []function.Emitted{{Topic: "events", ID: "low", Type: "order.validated", Key: "k"}, {Topic: "events", ID: "gone", Type: "lost"}}})
	n.ran(at[1], low, function.Run{ID: "run-2", State: function.RunSucceeded, Finished: time.Now(), Attempts: []function.Attempt{attempt(3)},
		Emitted: []function.Emitted{{Topic: "events", ID: "leaf", Type: "paid"}}})
	for _, id := range []string{"top", "low", "leaf", "run-2"} {
		tr, err := n.client.Trace(t.Context(), id, "")
		ok(t, err)
		if got, want := shape(tr.Roots), "top(run-1(low(run-2(leaf)) gone))"; got != want || tr.Nodes != 6 || tr.Cut != nil {
			t.Errorf("trace of %s = %s with %d nodes, cut %q, want %s with 6", id, got, tr.Nodes, tr.Cut, want)
		}
	}
	tr, err := n.client.Trace(t.Context(), "top", "")
	ok(t, err)
	if run := tr.Roots[0].Below[0]; run.Attempts != 2 || run.Took.Std() != 1500*time.Millisecond || !strings.Contains(run.Below[1].Note, "holds it no more") {
		t.Errorf("the run = %+v, want 2 attempts over 1.5s, and an event that is gone", run)
	}
}

func shape(nodes []wire.TraceNode) string {
	var parts []string
	for _, n := range nodes {
		text := n.ID
		if n.Below != nil {
			text += "(" + shape(n.Below) + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestATreeIsBounded(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	root := keyed("root", "order.validated", "k")
	at := n.emit("events", root)
	r := function.Run{ID: "run-1", State: function.RunSucceeded, Finished: time.Now()}
	var all []*event.Event
	for i := range maxTraceNodes + 10 {
		e := keyed(fmt.Sprint("e", i), "paid", "k")
		all = append(all, e)
		r.Emitted = append(r.Emitted, function.Emitted{Topic: "events", ID: e.ID, Type: "paid", Key: "k"})
	}
	n.emit("events", all...)
	n.ran(at[0], root, r)
	tr, err := n.client.Trace(t.Context(), "root", "")
	ok(t, err)
	if tr.Nodes != maxTraceNodes || !slices.Equal(tr.Cut, []string{"the tree has more than 500 nodes"}) {
		t.Errorf("%d nodes, cut %q, want %d and a word about it", tr.Nodes, tr.Cut, maxTraceNodes)
	}

	// Events that say that each caused the other are no way up without end.
	one, two := keyed("one", "order.validated", "k"), keyed("two", "order.validated", "k")
	ok(t, one.SetExtension(event.ExtCausationID, "two"))
	ok(t, two.SetExtension(event.ExtCausationID, "one"))
	ring := n.emit("events", one, two)
	n.ran(ring[0], one, function.Run{ID: "r1", State: function.RunSucceeded})
	n.ran(ring[1], two, function.Run{ID: "r2", State: function.RunSucceeded})
	tr, err = n.client.Trace(t.Context(), "one", "")
	ok(t, err)
	if len(tr.Cut) != 1 || !strings.Contains(tr.Cut[0], "among its own causes") || shape(tr.Roots) != "two(r2) one(r1)" {
		t.Errorf("a ring = %+v", tr)
	}

	// What is asked for is shown, also where the tree has no room for it.
	last := keyed("last", "order.validated", "k")
	ok(t, last.SetExtension(event.ExtCausationID, "root"))
	n.emit("events", last)
	tr, err = n.client.Trace(t.Context(), "last", "")
	ok(t, err)
	if n := len(tr.Roots); n != 2 || tr.Roots[1].ID != "last" || !strings.Contains(tr.Roots[1].Note, "beyond what is shown") {
		t.Errorf("an event of a tree that is too large: %d roots, %v, want two, the second it", n, tr.Roots[n-1])
	}
}

func TestAnEventThatNoRunEmittedIsInItsTrace(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	_, err := n.client.CreateTopic(t.Context(), wire.TopicCreate{Name: "answers", Partitions: 2})
	ok(t, err)
	caused := func(id, topic, by string) eventlog.Position {
		e := keyed(id, "order.validated", "k")
		if by != "" {
			ok(t, e.SetExtension(event.ExtCausationID, by))
		}
		at := n.emit(topic, e)[0]
		n.ran(at, e, function.Run{ID: "run-" + id, State: function.RunSucceeded, Finished: time.Now()})
		return at
	}
	caused("a", "events", "")
	caused("b", "answers", "a") // an answer that somebody else gave
	caused("c", "events", "b")
	tr, err := n.client.Trace(t.Context(), "c", "")
	ok(t, err)
	if got, want := shape(tr.Roots), "a(run-a) b(run-b) c(run-c)"; got != want || tr.Cut != nil {
		t.Fatalf("trace = %s, cut %q, want %s", got, tr.Cut, want)
	}
	if tr.Roots[0].Note != "" || tr.Roots[1].Note != "caused by event a, and no run that is known emitted it" {
		t.Errorf("notes = %q and %q", tr.Roots[0].Note, tr.Roots[1].Note)
	}
	if b, _ := n.exported("c", true); len(b.Events) != 3 || len(b.Runs) != 3 || !slices.Equal(b.Manifest.Sources, []string{"a", "b", "c"}) {
		t.Errorf("exported: %d events, %d runs, sources %v, want all", len(b.Events), len(b.Runs), b.Manifest.Sources)
	}

	// A request with a cause is one that a function made: it makes it again.
	ask := fact(event.TypeRequestCompleted, "k", 1)
	ask.ID = "ask"
	ok(t, ask.SetExtension(event.ExtCausationID, "a"))
	data, err := json.Marshal(function.Request{ID: "ask", Function: "pay", Method: "POST", Path: "/pay", Start: time.Now(), Body: []byte("some"), BodySize: 100_000})
	ok(t, err)
	ask.Data = data
	ok(t, n.log.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicRequests, Partitions: 1}))
	n.emit(function.TopicRequests, ask)
	b, _ := n.exported("ask", true)
	if len(b.Events) != 2 || !slices.Equal(b.Manifest.Sources, []string{"a"}) {
		t.Errorf("a call of a function: %d events, sources %v, want 2, and a alone to begin with", len(b.Events), b.Manifest.Sources)
	}
	if want := "the body of request ask, POST /pay: the log keeps 4 of its 100000 bytes, so it cannot be sent again"; !slices.Contains(b.Manifest.Missing, want) {
		t.Errorf("missing = %q, want %q", b.Manifest.Missing, want)
	}

	// One whose cause is gone begins the trace.
	caused("d", "events", "gone")
	tr, err = n.client.Trace(t.Context(), "d", "")
	ok(t, err)
	if shape(tr.Roots) != "d(run-d)" || len(tr.Cut) != 1 || !strings.Contains(tr.Cut[0], "event gone, which caused d, was not found") {
		t.Errorf("trace = %s, cut %q", shape(tr.Roots), tr.Cut)
	}
}

func TestAnIDThatDalambGaveIsFoundByItsTime(t *testing.T) {
	n := newNode(t)
	e := fact("x", "k", 1)
	n.emit("events", e)
	if got := n.explain(e.ID).Found; got.By != "time" || got.Looked != 1 {
		t.Errorf("found = %+v, want by the time in its id", got)
	}
	if _, ok := timeOfID("01a2033a-105f-8412-9d97-acf242e6d96b"); ok {
		t.Error("a UUID of version 8 has no time")
	}
	if at, ok := timeOfID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f.3"); !ok || !at.Equal(time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC)) { // RFC 9562, appendix A.6
		t.Errorf("the time in the RFC's example = %v, %v", at, ok)
	}
}

func TestAScanIsBoundedAndSaysSo(t *testing.T) {
	n := newNode(t)
	clock := time.Now()
	for _, at := range []time.Time{clock.Add(-time.Hour), clock} {
		r := eventlog.FromEvent("events", keyed(fmt.Sprint(at.Unix()), "x", "k"))
		r.Time = at
		_, err := n.log.Append(t.Context(), []eventlog.Record{r})
		ok(t, err)
	}
	steps := 0
	s := backward{log: n.log, most: 1, want: func(e *event.Event) bool { return e.ID == "no" }, now: func() time.Time {
		steps++
		return clock.Add(time.Duration(steps-1) * 2 * scanTime) // the second look at the clock is too late
	}}
	ps, err := n.api.searched(t.Context(), "events")
	ok(t, err)
	ok(t, s.run(t.Context(), ps))
	if s.whole || s.looked != 0 {
		t.Errorf("after its time it has looked at %d events, whole %v", s.looked, s.whole)
	}
	err = s.missing("nothing", "")
	wantFault(t, "missing", err, fault.NotFound, "nor the newest 0 events of topic events", "say where it is: --topic TOPIC")

	s = backward{log: n.log, most: 1, now: time.Now, want: func(e *event.Event) bool { return e.ID == "no" }}
	ok(t, s.run(t.Context(), ps))
	if !s.whole || s.looked != 2 || s.since.Sub(clock.Add(-time.Hour)).Abs() > time.Millisecond {
		t.Errorf("a scan of all = %d events back to %v, whole %v", s.looked, s.since, s.whole)
	}
	wantFault(t, "missing", s.missing("nothing", ""), fault.NotFound, "nor all 2 events of topic events", "retention")
}

func TestAnEventThatRetentionTookIsTold(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	n.ran(eventlog.Position{Topic: "events", Partition: 0, Offset: 7}, keyed("old", "order.validated", "k"), function.Run{ID: "run-1", State: function.RunSucceeded})
	_, err := n.client.Explanation(t.Context(), "old", "")
	wantFault(t, "an event that is gone", err, fault.NotFound, "the event old stood at events/0@7, and the log holds it no more", "dalamb runs show run-1")
}

func TestThePastSaysNoValues(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	_, err := n.catalog.Submit(t.Context(), catalog.SetConfig{Name: "greeting", Value: "unsaid"})
	ok(t, err)
	for _, path := range []string{"/v1/past", "/v1/changes"} {
		a := n.do("GET", path, "")
		if a.status != 200 || strings.Contains(a.body, "unsaid") || !strings.Contains(a.body, "greeting") || !json.Valid([]byte(a.body)) {
			t.Errorf("GET %s = %d %s", path, a.status, a.body)
		}
	}
	for path, want := range map[string]int{"/v1/past?at=2999-01-01": 400, "/v1/past?at=soon": 400, "/v1/changes?limit=0": 400, "/v1/changes?limit=10001": 400, "/v1/explanation": 400, "/v1/trace": 400, "/v1/explanation?id=x&topic=nope": 404, "/v1/explanation?id=events/0@0&topic=other": 400} {
		if a := n.do("GET", path, ""); a.status != want {
			t.Errorf("GET %s = %d %s, want %d", path, a.status, a.body, want)
		}
	}
}
