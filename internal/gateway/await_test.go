package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/await"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// startAwaiting deploys a function with a route that the event order.confirmed in orders answers: /orders, for at most patience.
func startAwaiting(t *testing.T, patience time.Duration, change ...func(*Options)) *waitingDesk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	d := startWaitingDesk(t, append(change, func(o *Options) {
		l := o.Log.(*sickLog).Log
		if err := l.CreateTopic(ctx, eventlog.Topic{Name: function.TopicDead, Partitions: 1, Compact: true}); err != nil {
			t.Fatal(err)
		}
		f, err := await.New(await.Options{Log: l})
		if err != nil {
			t.Fatal(err)
		}
		following.Go(func() { _ = f.Run(ctx) })
		o.Awaits = f
	})...)
	t.Cleanup(func() { // ahead of the node's own end, which closes the log
		cancel()
		following.Wait()
	})
	r := route("orders", "POST", "/orders")
	r.Emit = &function.Emit{Topic: "orders"}
	r.Route.Await = &function.Await{Topic: "orders", Pattern: json.RawMessage(`{"type":["order.confirmed"]}`), Timeout: function.Duration(patience)}
	d.deploy("shop", r)
	return d
}

// order sends a request, and returns where its answer will be found, and the answer when it has come.
func (d *waitingDesk) order(header ...string) (location string, answer func() got) {
	d.t.Helper()
	before := len(d.records(function.TopicInvoke))
	came := make(chan got, 1)
	go func() { came <- d.send("POST", "/orders", `{"n":1}`, header...) }()
	<-d.waits
	d.until(func() bool { return len(d.records(function.TopicInvoke)) > before })
	rs := d.records(function.TopicInvoke)
	e, err := eventlog.ToEvent(rs[before])
	if err != nil {
		d.t.Fatal(err)
	}
	return runsPrefix + runName{e.ID, rs[before].Partition, rs[before].Offset}.String(), func() got { return <-came }
}

// idOf is the id of the event of a request.
func idOf(t testing.TB, location string) string {
	t.Helper()
	name, ok := parseRunName(strings.TrimPrefix(location, runsPrefix))
	if !ok {
		t.Fatalf("%q is no place of a run", location)
	}
	return name.id
}

// ran says that the function has run and has emitted something.
func ran() function.Run {
	r := done(200, http.Header{}, `{"type":"order.requested"}`)
	r.Emitted = []function.Emitted{{Topic: "orders", ID: "x", Type: "order.requested"}}
	return r
}

// confirm is the event that answers.
func (d *waitingDesk) confirm(location string) {
	d.t.Helper()
	e := &event.Event{
		ID: "confirmed-" + idOf(d.t, location), Source: "/functions/pay", Type: "order.confirmed", Subject: "o-1", DataContentType: "application/json", Data: []byte(`{"total":7}`),
		Extensions: map[string]any{event.ExtCorrelationID: idOf(d.t, location), event.ExtCausationID: "c", event.ExtHops: int32(3), event.ExtChain: "order.requested>pay", "ticket": "t-1"},
	}
	if _, err := d.log.Append(context.Background(), []eventlog.Record{eventlog.FromEvent("orders", e)}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *waitingDesk) confirmed(g got, location string) {
	d.t.Helper()
	h := g.header
	if g.status != 200 || g.body != `{"total":7}` || h.Get("Content-Type") != "application/json" || h.Get("Ce-Type") != "order.confirmed" || h.Get("Ce-Correlationid") != idOf(d.t, location) || h.Get("Ce-Ticket") != "t-1" {
		d.t.Errorf("answer = %d %q %v, want the event", g.status, g.body, h)
	}
	if h.Get("Ce-Dalambchain") != "" || h.Get("Ce-Dalambhops") != "" || h.Get("Retry-After") != "" {
		d.t.Errorf("the answer tells what is the node's own: %v", h)
	}
}

func TestAnEventAnswersARequest(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	at, answer := d.order()
	d.finish(at, ran())
	d.confirm(at)
	g := answer()
	d.confirmed(g, at)
	if g.header.Get("Location") != at {
		t.Errorf("Location = %q, want %q", g.header.Get("Location"), at)
	}
	d.confirmed(d.send("GET", at+"/answer", ""), at)
	at, answer = d.order()
	d.confirm(at) // before the node knows that the function has run
	d.confirmed(answer(), at)
	if n := d.metric("dalamb_gateway_awaits_total"); n != 2 {
		t.Errorf("%v are counted, want 2", n)
	}
}

func TestAnEventThatComesLateIsFoundLater(t *testing.T) {
	d := startAwaiting(t, time.Millisecond)
	at := d.ask("/orders", "{}")
	if s := d.send("GET", at, "").state(t); s.State != runAccepted {
		t.Errorf("state = %+v, want accepted", s)
	}
	d.finish(at, ran())
	if s := d.send("GET", at, "").state(t); s.State != runWaiting || s.Answer != nil || s.Finished != nil {
		t.Errorf("state = %+v, want waiting", s)
	}
	if g := d.send("GET", at+"/answer", ""); g.status != 202 {
		t.Errorf("the answer before there is one = %d %s", g.status, g.body)
	}
	for len(d.waits) > 0 {
		<-d.waits
	}
	late := make(chan got, 1)
	go func() { late <- d.send("GET", at+"/answer?wait=30s", "") }()
	<-d.waits
	d.confirm(at)
	d.confirmed(<-late, at)
	d.confirmed(d.send("GET", at+"/answer", ""), at)
	s := d.send("GET", at, "").state(t)
	if s.State != runSucceeded || string(s.Result) != `{"total":7}` || s.Answer == nil || s.Answer.Status != 200 {
		t.Errorf("state = %+v", s)
	}
	stream := d.send("GET", at, "", "Accept", "text/event-stream")
	if !strings.Contains(stream.body, `"state":"succeeded"`) {
		t.Errorf("who follows is told %q", stream.body)
	}
	if g := d.send("DELETE", at, ""); g.status != 409 {
		t.Errorf("DELETE = %d %s, want 409", g.status, g.body)
	}
}

func TestAClientMayPreferNotToWait(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	g := d.send("POST", "/orders", "{}", "Prefer", "respond-async")
	if g.status != 202 || g.header.Get("Preference-Applied") != "respond-async" || g.header.Get("Location") == "" {
		t.Errorf("with Prefer: respond-async = %d %v", g.status, g.header)
	}
	if g := d.send("POST", "/orders", "{}", "Prefer", "wait=1"); g.status != 202 || g.header.Get("Preference-Applied") != "wait=1" {
		t.Errorf("with Prefer: wait=1 = %d %v", g.status, g.header)
	}
}

func TestWhatTheFunctionSaysAnswersWhereNothingFollows(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	failed := function.Run{State: function.RunDead, Reason: "used up", Attempts: []function.Attempt{{Number: 1, Outcome: function.Crashed}}}
	for _, c := range []struct {
		run    function.Run
		status int
		says   string
	}{
		{done(422, http.Header{}, "no such product"), 422, "no such product"},
		{done(200, http.Header{}, "it was confirmed yesterday"), 200, "yesterday"},
		{failed, 502, "ended before it answered"},
	} {
		at, answer := d.order()
		d.finish(at, c.run)
		if g := answer(); g.status != c.status || !strings.Contains(g.body, c.says) || g.header.Get("Location") != at {
			t.Errorf("answer = %d %q, want %d %q", g.status, g.body, c.status, c.says)
		}
	}
}

func TestADeadLetterAnswersAtOnce(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	at, answer := d.order()
	d.finish(at, ran())
	cause, err := json.Marshal(&event.Event{ID: "x", Source: "/x", Type: "order.requested", Extensions: map[string]any{event.ExtCorrelationID: idOf(t, at)}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(function.DeadLetter{Run: function.Run{ID: "run-of-pay", Function: "pay"}, Event: cause})
	if err != nil {
		t.Fatal(err)
	}
	dead := &event.Event{ID: "d", Source: "/x", Type: event.TypeDeadLetterCreated, Subject: "run-of-pay", Data: data}
	if _, err := d.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicDead, dead)}); err != nil {
		t.Fatal(err)
	}
	g := answer()
	if f := g.fault(t); g.status != 502 || !strings.Contains(f.Message, "has failed") || !strings.Contains(f.Hint, at) || strings.Contains(g.body, "pay") || g.header.Get("Location") != at {
		t.Errorf("answer = %d %s", g.status, g.body)
	}
	if s := d.send("GET", at, "").state(t); s.State != runFailed || !strings.Contains(s.Error, "has failed") {
		t.Errorf("state = %+v, want failed", s)
	}
	d.confirm(at) // it was tried again
	d.confirmed(d.send("GET", at+"/answer", ""), at)
}

func TestWhoCannotWaitChangesNothing(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	d.Gateway.waiters.now.Store(maxWaiters)
	if g := d.send("POST", "/orders", "{}"); g.status != 503 || g.header.Get("Retry-After") == "" {
		t.Errorf("with too many who wait = %d %v, want 503", g.status, g.header)
	}
	d.Gateway.waiters.now.Store(0)
	if err := d.log.DeleteTopic(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if g := d.send("POST", "/orders", "{}"); g.status != 503 || strings.Contains(g.body, "orders\"") {
		t.Errorf("without the topic = %d %s, want 503", g.status, g.body)
	}
	if n := len(d.records(function.TopicInvoke)); n > 0 {
		t.Errorf("%d requests are kept, want none", n)
	}
}

func TestANodeThatStopsAnswersThoseThatWait(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	at, answer := d.order()
	d.EndWaits()
	if g := answer(); g.status != 202 || g.header.Get("Location") != at {
		t.Errorf("answer = %d %v, want 202", g.status, g.header)
	}
}

// patient follows nothing: what is looked for does not come before who asks has waited enough.
type patient struct{ Awaits }

func (patient) Find(ctx context.Context, _ await.Want) (await.Found, error) {
	<-ctx.Done()
	return await.Found{}, ctx.Err()
}

func TestWhoAsksWhileALongSearchIsUnderWayIsToldAtTheEndOfTheNode(t *testing.T) {
	d := startAwaiting(t, time.Minute)
	at, answer := d.order("Prefer", "wait=1")
	d.finish(at, ran())
	answer()
	d.Gateway.awaits = patient{d.Gateway.awaits}
	d.EndWaits()
	if g := d.send("GET", at, ""); g.status != 200 || g.state(t).State != "waiting" {
		t.Errorf("state = %d %s, want waiting", g.status, g.body)
	}
}

// hasty is a log in which the event that answers stands before who has sent the request knows that that is there.
type hasty struct {
	Log
	d *waitingDesk
}

func (l hasty) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	at, err := l.Log.Append(ctx, records)
	if err == nil && records[0].Topic == function.TopicInvoke {
		e, err := eventlog.ToEvent(records[0])
		if err != nil {
			return nil, err
		}
		l.d.confirm(runsPrefix + runName{e.ID, at[0].Partition, at[0].Offset}.String())
	}
	return at, err
}

func TestAnEventThatComesAtOnceIsNotMissed(t *testing.T) {
	d := startAwaiting(t, 10*time.Second)
	d.Gateway.log = hasty{d.log, d}
	g := d.send("POST", "/orders", "{}")
	d.confirmed(g, g.header.Get("Location"))
}
