package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

func TestAnOrderThatAnEventAnswersIsTakenOnce(t *testing.T) {
	d := startAwaiting(t, time.Minute, remembering(t))
	r := route("once", "POST", "/once")
	r.Emit = &function.Emit{Topic: "orders"}
	r.Route.Await = &function.Await{Topic: "orders", Pattern: json.RawMessage(`{"type":["order.confirmed"]}`), Timeout: function.Duration(time.Minute)}
	r.Route.Idempotency = &function.Idempotency{Keep: function.Duration(time.Hour)}
	d.deploy("till", r)
	send := func() got { return d.send("POST", "/once", "{}", "Idempotency-Key", "k") }
	came := make(chan got, 1)
	go func() { came <- send() }()
	<-d.waits
	invoked := d.records(function.TopicInvoke)
	if len(invoked) != 1 {
		t.Fatalf("%d requests are in the log, want one", len(invoked))
	}
	e, err := eventlog.ToEvent(invoked[0])
	if err != nil {
		t.Fatal(err)
	}
	at := runsPrefix + runName{e.ID, invoked[0].Partition, invoked[0].Offset}.String()
	if g := send(); g.status != 202 || g.header.Get("Location") != at || g.header.Get("Idempotent-Replayed") != "true" || g.state(t).ID != at[len(runsPrefix):] {
		t.Errorf("who asks again meanwhile is told %d %v %s, want where to look", g.status, g.header, g.body)
	}
	d.finish(at, function.Run{State: function.RunDead, Reason: "used up", Attempts: []function.Attempt{{Number: 1, Outcome: function.Crashed}}})
	if g := <-came; g.status != 502 {
		t.Errorf("the first answer is %d %s, want 502", g.status, g.body)
	}
	if g := send(); g.status != 202 || g.header.Get("Location") != at {
		t.Errorf("who asks again is told %d %v, want where to look", g.status, g.header)
	}
	if got := len(d.records(function.TopicInvoke)); got != 1 {
		t.Errorf("%d requests are in the log, want one", got)
	}
}

func TestTheEventOfARequestWithAKeyIsItsRun(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Async = function.LaterAlways }))
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 202 {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	var claim struct{ Run string }
	if err := json.Unmarshal(n.records(function.TopicIdempotency)[0].Value, &claim); err != nil {
		t.Fatal(err)
	}
	if id := n.events(function.TopicInvoke)[0].ID; id != claim.Run {
		t.Errorf("the event is %s, want %s: a node that is killed before the answer is kept makes it again", id, claim.Run)
	}
	if id := lateID(&Call{ID: "attempt", Run: "run", keyed: &keyed{}}); id != "run" {
		t.Errorf("a later attempt's event is %s, want that of the run", id)
	}
}

// unsure is a log that has what it was given, and does not say so.
type unsure struct {
	Log
	err error // nil = that of the context
}

func (l unsure) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	at, err := l.Log.Append(context.WithoutCancel(ctx), records)
	if err == nil {
		err = l.err
	}
	if err == nil {
		err = ctx.Err()
	}
	return at, err
}

func TestARequestThatMayBeInTheLogKeepsItsKey(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	n.deploy("f", onceRoute(func(r *function.Route) {
		r.Async, r.Timeout = function.LaterAlways, &function.RouteTimeout{Total: 200e6}
	}))
	n.Gateway.log = unsure{n.log, fault.New(fault.Unavailable, "no answer in time")}
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 503 {
		t.Fatalf("the first answer is %d %s, want 503", g.status, g.body)
	}
	n.Gateway.log = n.log
	if g := n.send("POST", "/x", "", "Idempotency-Key", "k"); g.status != 409 {
		t.Errorf("then it is %d %s, want 409", g.status, g.body)
	}
	if got := len(n.records(function.TopicInvoke)); got != 1 {
		t.Errorf("%d requests are in the log, want one", got)
	}
}

func TestAClientThatHangsUpDoesNotEndTheAppend(t *testing.T) {
	n := start(t, says("x"))
	n.deploy("f", onceRoute(func(r *function.Route) { r.Async = function.LaterAlways }))
	n.Gateway.log = unsure{Log: n.log}
	trigger, err := n.catalog.View().Trigger("f", onceRoute().Name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	c := &Call{Function: "f", Trigger: trigger, Request: httptest.NewRequestWithContext(ctx, "POST", "/x", http.NoBody)}
	if _, err := n.accept(c, lateID(c)); err != nil {
		t.Errorf("accept = %v, want that the request is taken: it is in the log", err)
	}
}

// TestWhatHasRunUnheardKeepsItsKey: an answer in its place, or the end of the route's time, does not make the key free.
func TestWhatHasRunUnheardKeepsItsKey(t *testing.T) {
	n := start(t, says("x"), remembering(t))
	lost := unkept{errors.New("the log did not take it")}
	for name, ends := range map[string]func(k *keyed){
		"another answer": func(k *keyed) { k.end(nil, lost); k.leave() },
		"its time":       func(k *keyed) { k.leave(); k.end(nil, lost) },
	} {
		r := idempotency.Request{Key: idempotency.DigestOf(name), Fingerprint: idempotency.DigestOf("f"), Bound: time.Hour}
		e, err := n.keys.Enter(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		k := &keyed{g: n.Gateway, claim: e.Claim, request: httptest.NewRequest("POST", "/x", http.NoBody)}
		if err := k.begin(); err != nil {
			t.Fatal(err)
		}
		ends(k)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := n.keys.Enter(ctx, r); !errors.Is(err, idempotency.ErrBusy) {
			t.Errorf("%s: who comes again gets %v, want that it is being run", name, err)
		}
		cancel()
	}
}

func TestALongAnswerEndsItsKeyWhenItIsWhole(t *testing.T) {
	k := &keyed{under: 1}
	a := newOnceAnswer(&exchange{ResponseWriter: httptest.NewRecorder()}, k)
	whole := newAttempt(&a.own, a.own.Header(), nil)
	whole.WriteHeader(200)
	if n, err := whole.Write(bytes.Repeat([]byte("x"), function.MaxAnswerKept+1)); err != nil || n != function.MaxAnswerKept+1 {
		t.Fatalf("Write = %d, %v", n, err)
	}
	whole.cut() // which waits for what is being written, and so must not wait for the log
	if k.left || k.settled {
		t.Error("the key has ended in the midst of the answer")
	}
}
