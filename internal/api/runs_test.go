package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// tell appends what dispatch says about a run.
func (n *node) tell(topic, typ string, id string, data any) {
	n.Helper()
	e := fact(typ, id, data)
	n.emit(topic, e)
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// shop is an order whose payment succeeded, one that is tried again, and one that is dead.
func (n *node) shop() (order []eventlog.Position) {
	n.Helper()
	order = n.emit(function.TopicEvents, fact("order.validated", "o1", 1), fact("order.validated", "o2", 2), fact("order.validated", "o3", 3))
	run := func(i int, state function.RunState, attempts int) function.Run {
		r := function.Run{ID: fmt.Sprint("run-", i), Function: "pay", Trigger: "on-order", State: state,
			Event: function.EventRef{Topic: "events", Partition: order[i-1].Partition, Offset: order[i-1].Offset}}
		for a := range attempts {
			r.Attempts = append(r.Attempts, function.Attempt{Number: a + 1, Outcome: function.Failed, Failure: &function.Failure{Type: "Declined", Message: "no"}})
		}
		return r
	}
	paid := run(1, function.RunSucceeded, 0)
	paid.Emitted = []function.Emitted{{Topic: "events", ID: "e9", Type: "payment.processed"}}
	dead := run(3, function.RunDead, 4)
	dead.Finished = noon().Add(-30 * time.Minute)
	n.tell(function.TopicRuns, event.TypeRunFinished, "run-1", paid)
	n.tell(function.TopicRuns, event.TypeAttemptFailed, "run-2", run(2, function.RunRetrying, 1))
	n.tell(function.TopicRuns, event.TypeRunFinished, "run-3", dead)
	n.tell(function.TopicDead, event.TypeDeadLetterCreated, "run-3", function.DeadLetter{Run: dead, Event: json.RawMessage(`{"specversion":"1.0","id":"x","source":"/s","type":"order.validated","data":3}`)})
	n.settle()
	return order
}

func TestRuns(t *testing.T) {
	n := newNode(t)
	n.shop()
	for _, c := range []struct {
		q    client.RunQuery
		want string
	}{
		{client.RunQuery{}, "run-1 run-2 run-3"},
		{client.RunQuery{Function: "pay", State: function.RunRetrying}, "run-2"},
		{client.RunQuery{State: function.RunDead, Trigger: "on-order", Since: time.Now().Add(-time.Hour)}, "run-3"},
		{client.RunQuery{Before: time.Now().Add(-time.Hour)}, ""},
		{client.RunQuery{Function: "ship"}, ""},
	} {
		list, err := n.client.Runs(t.Context(), c.q)
		ok(t, err)
		got := map[string]bool{}
		for _, r := range list.Runs {
			got[r.ID] = true
		}
		want := map[string]bool{}
		for _, id := range strings.Fields(c.want) {
			want[id] = true
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Runs(%+v) = %v, want %v", c.q, got, want)
		}
	}
	// Pages of one.
	var pages []string
	for q := (client.RunQuery{Limit: 1}); ; {
		list, err := n.client.Runs(t.Context(), q)
		ok(t, err)
		for _, r := range list.Runs {
			pages = append(pages, r.ID)
		}
		if q.After = list.Next; q.After == "" {
			break
		}
	}
	if len(pages) != 3 {
		t.Errorf("pages of one run = %q, want three", pages)
	}
}

func TestRunShowsItsEventAndAttempts(t *testing.T) {
	n := newNode(t)
	n.shop()
	r, err := n.client.Run(t.Context(), "run-1")
	ok(t, err)
	if len(r.Run.Emitted) != 1 || r.Run.Emitted[0].Type != "payment.processed" || !strings.Contains(string(r.Event), `"order.validated"`) {
		t.Errorf("Run = %+v with event %s", r.Run, r.Event)
	}
	r, err = n.client.Run(t.Context(), "run-2")
	ok(t, err)
	if len(r.Run.Attempts) != 1 || r.Run.Attempts[0].Failure.Message != "no" {
		t.Errorf("attempts = %+v, want one with its failure", r.Run.Attempts)
	}
}

// The log may have lost the event; a dead letter keeps its bytes.
func TestRunOfAnEventThatTheLogLost(t *testing.T) {
	n := newNode(t)
	n.shop()
	ok(t, n.log.DeleteTopic(t.Context(), "events"))
	ok(t, n.log.CreateTopic(t.Context(), eventlog.Topic{Name: "events", Partitions: 2}))
	dead, err := n.client.Run(t.Context(), "run-3")
	ok(t, err)
	if !strings.Contains(string(dead.Event), `"data":3`) {
		t.Errorf("event of the dead run = %s, want that of the dead letter", dead.Event)
	}
	other, err := n.client.Run(t.Context(), "run-1")
	ok(t, err)
	if other.Event != nil {
		t.Errorf("event = %s, want none", other.Event)
	}
}

func TestDeadLetters(t *testing.T) {
	n := newNode(t)
	n.shop()
	for _, c := range []struct {
		q    client.DeadQuery
		want int
	}{
		{client.DeadQuery{}, 1},
		{client.DeadQuery{Function: "pay", Trigger: "on-order"}, 1},
		{client.DeadQuery{Function: "ship"}, 0},
		{client.DeadQuery{Pattern: `{"data":[3]}`}, 1},
		{client.DeadQuery{Pattern: `{"data":[4]}`}, 0},
		{client.DeadQuery{Before: time.Now().Add(-time.Hour)}, 0},
		{client.DeadQuery{Since: time.Now().Add(-time.Hour)}, 1},
	} {
		list, err := n.client.DeadLetters(t.Context(), c.q)
		if err != nil || len(list.DeadLetters) != c.want {
			t.Errorf("DeadLetters(%+v) = %d, %v, want %d", c.q, len(list.DeadLetters), err, c.want)
		}
	}
	d, err := n.client.DeadLetter(t.Context(), "run-3")
	if err != nil || len(d.Run.Attempts) != 4 {
		t.Errorf("DeadLetter = %+v, %v, want four attempts", d, err)
	}
}

// A look among many runs is a search; who gives an id whole needs no place for it.
func TestWhatBeginsAnIDTakesAPlaceAmongTheSearches(t *testing.T) {
	n := newNode(t)
	n.shop()
	for range maxSearches {
		n.api.searches <- struct{}{}
	}
	if _, err := n.client.Run(t.Context(), "run-1"); err != nil {
		t.Errorf("a whole id: %v", err)
	}
	_, err := n.client.Run(t.Context(), "0123abcd")
	wantFault(t, "the beginning of one", err, fault.Unavailable, "under way", "ask again in a moment")
}

func TestWhatBeginsAnIDStandsForIt(t *testing.T) {
	n := newNode(t)
	n.shop()
	ctx := t.Context()
	if d, err := n.client.DeadLetter(ctx, "run-3"[:4]); err != nil || d.Run.ID != "run-3" {
		t.Errorf("DeadLetter = %+v, %v, want run-3", d, err)
	}
	_, err := n.client.Run(ctx, "run-")
	wantFault(t, "a run", err, fault.Invalid, `the id of more than one run begins with "run-"`, "say more of it: run-1, run-2")
	_, err = n.client.Trace(ctx, "run-", "")
	wantFault(t, "a trace", err, fault.Invalid, `the id of more than one run begins with "run-"`, "")
	_, err = n.client.DeadLetter(ctx, "run")
	wantFault(t, "too little", err, fault.NotFound, `there is no dead letter "run"`, "")
	if _, err := n.client.Redrive(ctx, wire.Redrive{IDs: []string{"run-"}}); err != nil || !slices.Equal(n.script.redrives[0].IDs, []string{"run-3"}) {
		t.Errorf("redrive asked for %+v, %v", n.script.redrives, err)
	}
	if _, err := n.client.Discard(ctx, wire.Discard{IDs: []string{"run-", "run-3"}}); err != nil || !slices.Equal(n.script.discards[0].IDs, []string{"run-3"}) {
		t.Errorf("discard asked for %+v, %v", n.script.discards, err)
	}
}

// A pattern that few match is looked for over several pages of the history.
func TestDeadLettersByPatternOverPages(t *testing.T) {
	n := newNode(t)
	var rs []eventlog.Record
	for i := range 30 {
		id := fmt.Sprintf("d%02d", i)
		rs = append(rs, eventlog.FromEvent(function.TopicDead, fact(event.TypeDeadLetterCreated, id,
			function.DeadLetter{Run: function.Run{ID: id, Function: "pay", State: function.RunDead}, Event: json.RawMessage(fmt.Sprintf(`{"data":%d}`, i%10))})))
	}
	_, err := n.log.Append(t.Context(), rs)
	ok(t, err)
	n.settle()
	list, err := n.client.DeadLetters(t.Context(), client.DeadQuery{Pattern: `{"data":[7]}`, Limit: 2})
	ok(t, err)
	if len(list.DeadLetters) != 2 || list.Next == "" {
		t.Fatalf("DeadLetters = %d, next %q, want two and more", len(list.DeadLetters), list.Next)
	}
	rest, err := n.client.DeadLetters(t.Context(), client.DeadQuery{Pattern: `{"data":[7]}`, Limit: 2, After: list.Next})
	ok(t, err)
	if len(rest.DeadLetters) != 1 || rest.Next != "" {
		t.Errorf("DeadLetters after that = %d, next %q, want the third and no more", len(rest.DeadLetters), rest.Next)
	}
}

func TestRedriveAndDiscard(t *testing.T) {
	n := newNode(t)
	n.shop()
	ctx := t.Context()
	noon := noon()
	for _, c := range []struct {
		req  wire.Redrive
		want Redrive
	}{
		{wire.Redrive{IDs: []string{"run-3"}}, Redrive{IDs: []string{"run-3"}}},
		{wire.Redrive{All: true, Rate: 2.5}, Redrive{Rate: 2.5}},
		{wire.Redrive{Function: "pay", Trigger: "on-order", Pattern: json.RawMessage(`{"data":[3]}`), Before: noon, After: noon.Add(-time.Hour)},
			Redrive{Function: "pay", Trigger: "on-order", Pattern: json.RawMessage(`{"data":[3]}`), Before: noon, After: noon.Add(-time.Hour)}},
	} {
		started, err := n.client.Redrive(ctx, c.req)
		ok(t, err)
		got := n.script.redrives[len(n.script.redrives)-1]
		if want := (wire.RedriveStarted{Job: fmt.Sprint("job-", len(n.script.redrives)), Selected: 1}); started != want || !reflect.DeepEqual(got, c.want) {
			t.Errorf("Redrive(%+v) = %+v, asked dispatch for %+v, want %+v", c.req, started, got, c.want)
		}
	}
	asked := len(n.script.redrives)
	for _, c := range []struct {
		req           wire.Redrive
		message, hint string
	}{
		{wire.Redrive{Function: "nope"}, `there is no function "nope"`, ""},
		{wire.Redrive{Function: "pay", Trigger: "on-ordr"}, "no dead letter is selected", "GET /v1/dead"},
		{wire.Redrive{Pattern: json.RawMessage(`{"data":[4]}`)}, "no dead letter is selected", ""},
		{wire.Redrive{After: noon}, "no dead letter is selected", ""},
		{wire.Redrive{Before: noon.Add(-time.Hour)}, "no dead letter is selected", ""},
	} {
		_, err := n.client.Redrive(ctx, c.req)
		wantFault(t, fmt.Sprintf("Redrive(%+v)", c.req), err, fault.NotFound, c.message, c.hint)
	}
	if len(n.script.redrives) != asked {
		t.Errorf("dispatch was asked for %+v", n.script.redrives[asked:])
	}
	n.script.err = fault.New(fault.Unavailable, "the disk is full").WithHint("make room")
	_, err := n.client.Redrive(ctx, wire.Redrive{All: true})
	wantFault(t, "Redrive on a full disk", err, fault.Unavailable, "the disk is full", "make room")
	n.script.err = nil
	gone, err := n.client.Discard(ctx, wire.Discard{IDs: []string{"run-3", "run-3"}, Reason: "refunded by hand"})
	if err != nil || gone != 1 {
		t.Errorf("Discard = %d, %v, want 1", gone, err)
	}
	if want := []wire.Discard{{IDs: []string{"run-3"}, Reason: "refunded by hand"}}; !reflect.DeepEqual(n.script.discards, want) {
		t.Errorf("discards = %+v, want %+v", n.script.discards, want)
	}
	if list, err := n.client.DeadLetters(ctx, client.DeadQuery{}); err != nil || len(list.DeadLetters) != 0 {
		t.Errorf("DeadLetters right after Discard = %d, %v, want none", len(list.DeadLetters), err)
	}
}

// TestADeadLetterThatDalambMadeKeepsItsType edits a record of other software, whose type only dalamb gives.
func TestADeadLetterThatDalambMadeKeepsItsType(t *testing.T) {
	n := newNode(t)
	record := (&event.Foreign{Topic: "payments", Partition: 3, Offset: 17, Key: []byte("c-7"), Value: []byte(`{"amount":"12"}`)}).Event()
	text, err := json.Marshal(record)
	ok(t, err)
	dead := function.DeadLetter{Run: function.Run{ID: "d", Function: "pay", State: function.RunDead, Event: function.EventRef{Type: record.Type}}, Event: text}
	_, err = n.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicDead, fact(event.TypeDeadLetterCreated, "d", dead))})
	ok(t, err)
	n.settle()
	for _, edit := range []string{
		`{"data":{"value":{"amount":12}}}`,
		`{"specversion":"1.0","id":"x","source":"/s","type":"dalamb.record.v1","partitionkey":"c-7","data":{"value":{"amount":12}}}`,
	} {
		_, err := n.client.EditDead(t.Context(), "d", wire.DeadEdit{Event: json.RawMessage(edit)})
		ok(t, err)
		got := n.script.edits[len(n.script.edits)-1]
		if got.Type != event.TypeRecord || got.Key() != "c-7" || string(got.Data) != `{"value":{"amount":12}}` {
			t.Errorf("EditDead(%s) runs %s with key %q and data %s", edit, got.Type, got.Key(), got.Data)
		}
	}
	_, err = n.client.EditDead(t.Context(), "d", wire.DeadEdit{Event: json.RawMessage(`{"type":"dalamb.invoke.requested.v1"}`)})
	wantFault(t, "EditDead with another type of dalamb's", err, fault.Denied, "only dalamb writes events of type dalamb.invoke.requested.v1", "leave out the type")
	if len(n.script.edits) != 2 {
		t.Errorf("%d edits were asked for, want 2", len(n.script.edits))
	}
}
