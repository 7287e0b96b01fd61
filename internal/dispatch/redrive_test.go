package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// graveyard is a world in which events have died: n of type "a" on function f and n of type "b" on g. mended lets them succeed
// from then on.
func graveyard(t *testing.T, n int) (w *world, player Invoker, mended *atomic.Bool) {
	t.Helper()
	w = newWorld(t, setting{partitions: 2})
	// The function refuses for good, so that one attempt is enough; a node that is taken over from costs an attempt too.
	retry := function.Retry{Attempts: 10}
	w.deploy("f", function.Trigger{Name: "t", Filter: []byte(`{"type":["a"]}`), Retry: retry, Emit: &function.Emit{Topic: "out"}})
	w.deploy("g", function.Trigger{Name: "t", Filter: []byte(`{"type":["b"]}`), Retry: retry, Emit: &function.Emit{Topic: "out"}})
	mended = new(atomic.Bool)
	player = play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if !mended.Load() {
			r := fail("not yet")
			r.NoRetry = true
			return r, nil
		}
		return succeed(&event.Event{Type: "done", DataContentType: "application/json", Data: fmt.Appendf(nil, "%q", c.Invocation.Event.ID)}), nil
	})
	w.node(player)
	for i := range n {
		w.append("events", newEvent(fmt.Sprintf("a%d", i), "a", ""), newEvent(fmt.Sprintf("b%d", i), "b", ""))
	}
	w.awaitFinished(2 * n)
	return w, player, mended
}

func (w *world) newest() *Dispatcher { return w.nodes[len(w.nodes)-1].d }

func (w *world) redrive(r RedriveRequest) string {
	w.t.Helper()
	job, err := w.newest().Redrive(context.Background(), r)
	if err != nil {
		w.t.Fatalf("Redrive(%+v) = %v", r, err)
	}
	return job
}

// jobCount waits for a job's end and returns how many dead letters it sent.
func (w *world) jobCount(job string) int {
	w.t.Helper()
	count := -1
	w.await("the redrive to finish", func() bool {
		ends := 0
		for _, r := range w.records(function.TopicJobs) {
			e, err := eventlog.ToEvent(r)
			if err != nil || e.Type != event.TypeRedriveFinished {
				continue
			}
			var f RedriveFinished
			if err := json.Unmarshal(e.Data, &f); err != nil {
				w.t.Fatalf("decode %s: %v", e.Data, err)
			}
			if f.Job == job {
				ends++
				count = f.Count
			}
		}
		if ends > 1 {
			w.t.Fatalf("job %s has ended %d times", job, ends)
		}
		return ends == 1
	})
	return count
}

func TestRedrivePicksWhatIsMeant(t *testing.T) {
	w, _, mended := graveyard(t, 3)
	defer w.close()
	mended.Store(true)
	ids := map[string]string{}
	for id, dl := range w.dead() {
		ids[dl.Run.Event.ID] = id
	}
	for _, c := range []struct {
		name string
		r    RedriveRequest
		want []string // events whose dead letters are gone then
	}{
		{"after", RedriveRequest{After: time.Now().Add(time.Hour)}, nil},
		{"before", RedriveRequest{Before: time.Now().Add(-time.Hour)}, nil},
		{"one", RedriveRequest{IDs: []string{ids["a1"]}}, []string{"a1"}},
		{"pattern", RedriveRequest{Pattern: []byte(`{"data":{"id":["a2","b2"]}}`)}, []string{"a2", "b2"}},
		{"function and trigger", RedriveRequest{Function: "g", Trigger: "t"}, []string{"b0", "b1"}},
		{"again", RedriveRequest{Function: "g"}, nil},
		{"all", RedriveRequest{Rate: 1000}, []string{"a0"}},
	} {
		before := w.dead()
		if n := w.jobCount(w.redrive(c.r)); n != len(c.want) {
			t.Errorf("%s: %d dead letters sent, want %v", c.name, n, c.want)
		}
		w.await(c.name, func() bool { return len(w.dead()) == len(before)-len(c.want) })
		for _, ev := range c.want {
			if _, there := w.dead()[ids[ev]]; there {
				t.Errorf("%s: the dead letter of %s is still there", c.name, ev)
			}
		}
	}
	// What they emitted has the ids that the first run would have given, and the first event as its cause.
	out := w.records("out")
	if len(out) != 6 {
		t.Fatalf("%d events emitted, want 6", len(out))
	}
	for _, r := range out {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		cause := e.Extension(event.ExtCausationID)
		if e.ID != derivedID(ids[cause], "emit", 0) {
			t.Errorf("the event after %s has id %s, want the one of run %s", cause, e.ID, ids[cause])
		}
	}
	resolved := map[string]bool{}
	for _, r := range w.records(function.TopicRuns) {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == event.TypeDeadLetterResolved {
			resolved[e.Subject] = true
		}
	}
	if len(resolved) != 6 {
		t.Errorf("%d dead letters are said to be resolved, want 6", len(resolved))
	}
	for _, run := range w.runs() {
		if run.RedriveOf != "" && (run.State != function.RunSucceeded || run.Trigger != "t" || run.Event.Topic != "events") {
			t.Errorf("redriven run = %+v", run)
		}
	}
}

func TestARedriveThatFailsKeepsTheDeadLetterWithAllAttempts(t *testing.T) {
	w, _, _ := graveyard(t, 1)
	defer w.close()
	for round := 2; round <= 3; round++ {
		if n := w.jobCount(w.redrive(RedriveRequest{})); n != 2 {
			t.Fatalf("%d dead letters sent, want 2", n)
		}
		w.awaitFinished(2 * round)
		for id, dl := range w.dead() {
			if len(dl.Run.Attempts) != round || dl.Run.Attempts[round-1].Number != round || dl.Run.RedriveOf != "" || dl.Run.ID != id {
				t.Errorf("after %d rounds the dead letter is %+v", round, dl.Run)
			}
			if dl.Run.Event.Topic != "events" {
				t.Errorf("the dead letter's event stands in %s", dl.Run.Event.Topic)
			}
		}
	}
	if n := len(w.dead()); n != 2 {
		t.Errorf("%d dead letters, want 2", n)
	}
}

func TestAnInterruptedRedriveSendsEachOnce(t *testing.T) {
	const each = 40
	w, player, mended := graveyard(t, each)
	defer w.close()
	mended.Store(true)
	job := w.redrive(RedriveRequest{Rate: 200})
	for sent := 10; sent < 2*each; sent += 25 {
		w.await("some to be sent", func() bool { return len(w.records(function.TopicInvoke)) >= sent })
		w.node(player) // takes over
	}
	if n := w.jobCount(job); n != 2*each {
		t.Errorf("the job counted %d, want %d", n, 2*each)
	}
	w.await("all to be resolved", func() bool { return len(w.dead()) == 0 })
	if n := len(w.records(function.TopicInvoke)); n != 2*each {
		t.Errorf("%d requests, want %d", n, 2*each)
	}
	if n := len(w.records("out")); n != 2*each {
		t.Errorf("%d events emitted, want %d", n, 2*each)
	}
}

func TestARedriveKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, began := &jobs{}, time.Now()
		var due time.Time
		for range 4 {
			if err := j.wait(t.Context(), &due, 25, 50); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("75 at 50 a second go before the last 25 in %s, want 1.5 s", took)
		}
		if err := j.wait(t.Context(), &due, 1e6, 0); err != nil || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("no rate waits: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.wait(ctx, &due, 1, 1); err == nil {
			t.Error("wait goes on when its context is done")
		}
	})
}

func TestDiscard(t *testing.T) {
	w, _, _ := graveyard(t, 2)
	defer w.close()
	ids := slices.Collect(maps.Keys(w.dead()))
	d := w.newest()
	if n, err := d.Discard(context.Background(), append(ids[:2:2], "nobody"), "spam"); n != 2 || err != nil {
		t.Errorf("Discard = %d, %v, want 2", n, err)
	}
	if n := len(w.dead()); n != 2 {
		t.Errorf("%d dead letters are left, want 2", n)
	}
	for _, ids := range [][]string{nil, {"nobody"}, ids[:1]} {
		if _, err := d.Discard(context.Background(), ids, ""); fault.HintOf(err) == "" {
			t.Errorf("Discard(%v) = %v, want an error with a hint", ids, err)
		}
	}
}

func TestRedriveRefusesWhatMakesNoSense(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	d := w.node(play(nil)).d
	for _, r := range []RedriveRequest{{Rate: -1}, {Pattern: []byte(`{"type":5}`)}} {
		if _, err := d.Redrive(context.Background(), r); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Redrive(%+v) = %v, want invalid", r, err)
		}
	}
}

// TestAsynchronousCalls has calls with a payload and with an event; one dies and is redriven.
func TestAsynchronousCalls(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deploy("f")
	w.deploy("g")
	var mended atomic.Bool
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Function != "f" || c.Invocation.Trigger != "invoke" {
			return fail("wrong function"), nil
		}
		if string(c.Invocation.Payload) == `{"x":1}` && !mended.Load() {
			r := fail("not yet")
			r.NoRetry = true
			return r, nil
		}
		if c.Invocation.Payload == nil && (c.Invocation.Event == nil || c.Invocation.Event.ID != "inner") {
			return fail("no input"), nil
		}
		return succeed(&event.Event{Type: "done"}), nil
	}))
	inner, err := newEvent("inner", "x", "k").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range map[string]function.InvokeRequest{
		"call-1": {Function: "f", Payload: []byte(`{"x":1}`), ID: "aws-id"},
		"call-2": {Function: "f", Event: inner},
	} {
		e, err := statement(event.TypeInvokeRequested, id, "f", r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.append(function.TopicInvoke, e)
	}
	w.awaitFinished(2)
	dead := w.dead()
	if len(dead) != 1 {
		t.Fatalf("dead letters: %v, want one", dead)
	}
	for _, dl := range dead {
		if dl.Run.Trigger != "invoke" || dl.Run.Attempts[0].ID != "aws-id" {
			t.Errorf("dead letter = %+v", dl.Run)
		}
	}
	mended.Store(true)
	if n := w.jobCount(w.redrive(RedriveRequest{})); n != 1 {
		t.Errorf("%d sent, want 1", n)
	}
	w.await("the call to be resolved", func() bool { return len(w.dead()) == 0 })
	if n := len(w.records("events")); n != 2 {
		t.Errorf("%d events emitted, want 2", n)
	}
}
