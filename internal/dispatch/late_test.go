package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

// cancellations is what was cancelled.
type cancellations struct {
	mu   sync.Mutex
	ids  map[string]bool
	told []chan struct{}
}

func (l *cancellations) Cancelled(id string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[id], nil
}

func (l *cancellations) Watch(string) (<-chan struct{}, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan struct{}, 8)
	l.told = append(l.told, c)
	return c, func() {}
}

func (l *cancellations) cancel(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[id] = true
	for _, c := range l.told {
		c <- struct{}{}
	}
}

// deployRoutes makes a function with two routes, of which one emits.
func (w *world) deployRoutes() {
	spec := function.Spec{Name: "desk", Scale: function.Scale{Max: 16}, Triggers: []function.Trigger{
		{Name: "orders", Route: &function.Route{Path: "/orders/{id}", Async: function.LaterAlways}},
		{Name: "told", Route: &function.Route{Path: "/told", Async: function.LaterAlways}, Emit: &function.Emit{Topic: "out"}},
	}}
	w.change(catalog.Deploy{Version: function.Version{Spec: spec}})
}

// ask appends a request to a route.
func (w *world) ask(id, route string) eventlog.Position {
	w.t.Helper()
	data, err := json.Marshal(function.InvokeRequest{Function: "desk", ID: id, Request: &function.LateRequest{
		Route: route, Method: "POST", Target: "/orders/7?x=%2F", Scheme: "https", Host: "shop.example", Pattern: "/orders/{id}", Params: map[string]string{"id": "7"},
		Header: http.Header{"X-A": {"1", "2"}}, Body: []byte(id), Identity: &function.Identity{Type: "user", ID: "jo"},
	}})
	if err != nil {
		w.t.Fatalf("encode: %v", err)
	}
	return w.append(function.TopicInvoke, &event.Event{ID: id, Source: "/test", Type: event.TypeInvokeRequested, Subject: "desk", DataContentType: "application/json", Data: data})[0]
}

func answered(status int, body string) *function.Result {
	r := succeed()
	r.Status, r.Header, r.Body = status, http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"s=1"}}, []byte(body)
	if status >= 400 {
		r.Outcome, r.NoRetry, r.Failure = function.Failed, status < 500, &function.Failure{Message: "no"}
	}
	return r
}

func TestALateRequestIsRunAsItCameAndItsAnswerIsKept(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deployRoutes()
	large := make([]byte, function.MaxAnswerKept+1)
	var mu sync.Mutex
	seen := map[string]string{}
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		r := c.Invocation.Request
		if r == nil {
			return fail("no request"), nil
		}
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(body)] += fmt.Sprintf("%s %s %s %s %s %v %s %s;", r.Method, r.URL.Scheme, r.RequestURI, r.Host, r.PathValue("id"), r.Header["X-A"], c.Invocation.Identity.ID, c.Invocation.Trigger)
		mu.Unlock()
		told := newEvent("own", "order.seen", "k")
		switch string(body) {
		case "refused":
			return answered(404, "not here"), nil
		case "broken":
			return answered(503, "later"), nil
		case "large":
			return answered(200, string(large)), nil
		case "bad":
			return &function.Result{Outcome: function.Crashed, Version: 1, Failure: &function.Failure{Message: "gone"}, NoRetry: true, Start: time.Now()}, nil
		case "silent", "loud":
			r := answered(200, `{"type":"order.seen"}`)
			r.Events = []*event.Event{told}
			return r, nil
		}
		return answered(201, "made"), nil
	}))
	for id, route := range map[string]string{"fine": "orders", "refused": "orders", "broken": "orders", "large": "orders", "bad": "orders", "silent": "orders", "loud": "told"} {
		w.ask(id, route)
	}
	w.awaitFinished(7)
	for _, c := range []struct {
		id    string
		state function.RunState
		want  string
	}{
		{"fine", function.RunSucceeded, "201 made 4"},
		{"refused", function.RunSucceeded, "404 not here 8"},
		{"broken", function.RunDead, "503 later 5"},
		{"large", function.RunSucceeded, fmt.Sprintf("200  %d", len(large))},
		{"bad", function.RunDead, "none"},
		{"silent", function.RunSucceeded, `200 {"type":"order.seen"} 21`},
		{"loud", function.RunSucceeded, `200 {"type":"order.seen"} 21`},
	} {
		var run function.Run
		for _, r := range w.finished() {
			if r.Event.ID == c.id {
				run = r
			}
		}
		got := "none"
		if a := run.Answer; a != nil {
			got = fmt.Sprintf("%d %s %d", a.Status, a.Body, a.Size)
			if a.Header.Get("Content-Type") == "" || a.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: the answer has the header %v, want it without cookies", c.id, a.Header)
			}
		}
		if run.State != c.state || got != c.want {
			t.Errorf("%s: run = %s %q, want %s %q", c.id, run.State, got, c.state, c.want)
		}
	}
	if want := "POST https /orders/7?x=%2F shop.example 7 [1 2] jo orders;"; seen["fine"] != want {
		t.Errorf("the function saw %q, want %q", seen["fine"], want)
	}
	if es := w.records("out"); len(es) != 1 {
		t.Errorf("%d events were emitted, want the one of the route that says emit", len(es))
	}
	if es := w.records(function.TopicEvents); len(es) != 0 {
		t.Errorf("%d events were emitted by a route that does not say emit", len(es))
	}
	if dead := w.dead(); len(dead) != 2 {
		t.Errorf("%d dead letters, want those of broken and bad", len(dead))
	} else {
		for _, d := range dead {
			if d.Run.Answer != nil && d.Run.Answer.Body != nil {
				t.Errorf("the dead letter of %s holds the answer too", d.Run.Event.ID)
			}
		}
	}
}

func TestACancelledRequestDoesNotCount(t *testing.T) {
	l := &cancellations{ids: map[string]bool{"early": true}}
	w := newWorld(t, setting{options: Options{Cancels: l}})
	defer w.close()
	w.deployRoutes()
	begun := make(chan string, 8)
	w.node(play(func(ctx context.Context, c fleet.Call) (*function.Result, error) {
		begun <- c.Invocation.ID
		<-c.Kill // as the fleet does, with an instance that hangs
		return &function.Result{Outcome: function.Crashed, Version: 1, Failure: &function.Failure{Message: "killed"}, Start: time.Now()}, nil
	}))
	w.ask("early", "told")
	w.awaitFinished(1)
	w.ask("late", "told")
	if id := <-begun; id != "late" {
		t.Errorf("%q has begun, want only what was not cancelled before", id)
	}
	l.cancel("late")
	for _, run := range w.awaitFinished(2) {
		if run.State != function.RunDiscarded || run.Reason != function.ReasonCancelled || run.Answer != nil {
			t.Errorf("run of %s = %s, %q, want discarded, %q", run.Event.ID, run.State, run.Reason, function.ReasonCancelled)
		}
	}
	if n := len(w.dead()); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
}

func TestARedrivenRequestIsTheSameRequest(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	w.deployRoutes()
	var mu sync.Mutex
	well := false
	n := w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if !well {
			r := answered(500, "down")
			r.NoRetry = true
			return r, nil
		}
		body, _ := io.ReadAll(c.Invocation.Request.Body)
		return answered(200, "again: "+string(body)), nil
	}))
	at := w.ask("one", "orders")
	w.awaitFinished(1)
	mu.Lock()
	well = true
	mu.Unlock()
	if _, err := n.d.Redrive(t.Context(), RedriveRequest{Function: "desk"}); err != nil {
		t.Fatal(err)
	}
	for _, run := range w.awaitFinished(2) {
		if run.State == function.RunSucceeded && (string(run.Answer.Body) != "again: one" || run.Event.Offset != at.Offset || run.Event.ID != "one") {
			t.Errorf("redriven run = %q of event %v, want %q of the request", run.Answer.Body, run.Event, "again: one")
		}
	}
}

func TestTheEndOfARequestIsToldOfWithItsRun(t *testing.T) {
	w := newWorld(t, setting{})
	defer w.close()
	if err := w.disk.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicCallbacks, Partitions: 2, Compact: true}); err != nil {
		t.Fatal(err)
	}
	w.deployRoutes()
	w.node(play(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if c.Invocation.Attempt < 3 {
			return answered(503, "later"), nil
		}
		return answered(200, "fine"), nil
	}))
	data, err := json.Marshal(function.InvokeRequest{Function: "desk", ID: "one", Request: &function.LateRequest{
		Route: "orders", Method: "GET", Target: "/", Callback: &function.Callback{Function: "desk", URL: "https://shop.example/done", Secret: "key"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := w.append(function.TopicInvoke, &event.Event{ID: "one", Source: "/test", Type: event.TypeInvokeRequested, Subject: "desk", DataContentType: "application/json", Data: data})[0]
	w.ask("two", "orders") // whom nobody is told of
	w.awaitFinished(2)
	rs := w.records(function.TopicCallbacks)
	if len(rs) != 1 || string(rs[0].Key) != fmt.Sprintf("one.%d.%d", at.Partition, at.Offset) {
		t.Fatalf("callbacks = %v, want one of the request", rs)
	}
	var c function.Callback
	if err := json.Unmarshal(rs[0].Value, &c); err != nil || c.URL != "https://shop.example/done" {
		t.Errorf("callback = %+v, %v", c, err)
	}
}
