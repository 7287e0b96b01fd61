package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// later takes requests whose answers come later: each becomes an event of function.TopicInvoke, which dispatch runs as it runs every
// asynchronous call.
type later struct {
	g    *Gateway
	when function.Later
}

func (l *later) policy(x *exchange, c *Call, next handler) error {
	want := preferencesOf(c.Request.Header)
	if l.when == function.LaterPreferred && !want.async {
		return next(x, c)
	}
	if err := l.g.caller.count(c); err != nil {
		return err
	}
	free, err := l.g.gather(x, c)
	defer free()
	if err != nil {
		return err
	}
	run, err := l.g.accept(c, lateID(c))
	if err != nil {
		return err
	}
	if err := c.keyed.accepted(run); err != nil {
		return err
	}
	if said := want.applied(); said != "" {
		x.Header().Set("Preference-Applied", said)
	}
	x.Header().Set("Location", runsPrefix+run.name.String())
	story, err := l.g.settled(c.Request.Context(), run, want.wait)
	if err != nil { // it is accepted; the client can ask
		l.g.logger.Warn("look for the run of a request", "function", c.Function, "event", run.name.id, "err", err)
	}
	if story != nil && over(story) {
		return l.g.answerRun(x, c.Request, run, story)
	}
	l.g.showRun(x, http.StatusAccepted, run, story)
	return nil
}

// lateID is the id of the event that a request becomes. With a key it is that of its run: who comes again after a crash sends no other order.
func lateID(c *Call) string {
	if c.keyed == nil {
		return event.NewID()
	}
	return cmp.Or(c.Run, c.ID)
}

// accept appends the request as the event with this id. When it returns it is durable and will be run, also where the client has gone meanwhile.
func (g *Gateway) accept(c *Call, id string) (*lateRun, error) {
	r := c.Request
	g.dropOwn(r.Header)
	dropHopByHop(r.Header)
	r.Header.Del(function.ShadowHeader) // a client may not pretend
	tellIdentity(r.Header, c.Identity)
	told, err := callbackOf(c)
	if err != nil {
		return nil, err
	}
	req := function.InvokeRequest{Function: c.Function, ID: id, Request: &function.LateRequest{
		Route: c.Trigger.Name, Method: r.Method, Target: g.caller.redact().path(r.URL), Scheme: r.URL.Scheme, Host: r.Host, Remote: r.RemoteAddr, Pattern: r.Pattern,
		Params: pathValues(r), Header: g.caller.redact().without(r.Header), Body: c.Body, Identity: c.Identity, Callback: told, Await: c.Trigger.Route.Await,
	}}
	parent := traceParent(r.Header)
	span := g.tracer.Send(tracing.Sending{Parent: parent, Topic: function.TopicInvoke, ID: id, Events: 1})
	e := &event.Event{
		ID: id, Source: "/dalamb/gateway", Type: event.TypeInvokeRequested, Subject: c.Function, Time: g.now(), DataContentType: "application/json",
		// Requests have no order among them; by their ids they spread over the partitions, those of a client that stays on one version by its key.
		Extensions: map[string]any{event.ExtPartitionKey: cmp.Or(c.Trigger.Route.Sticky.Key(r), id), event.ExtTraceParent: cmp.Or(span.TraceParent(), parent)},
	}
	if who := c.Identity; who != nil {
		e.Extensions[event.ExtAuthType], e.Extensions[event.ExtAuthID] = who.Type, who.ID
	}
	chain := c.Chain
	if c.Trigger.Route.Await != nil { // what follows from this request alone answers it, and is known by this
		chain.Correlation = id
	}
	caused(e.Extensions, &chain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
	defer cancel()
	record, err := g.lateRecord(ctx, e, &req)
	if err != nil {
		return nil, err
	}
	at, err := g.log.Append(ctx, []eventlog.Record{*record})
	ended(span, err)
	if err != nil {
		err = fmt.Errorf("append a request to %s: %w", c.Function, err)
		switch fault.KindOf(err) {
		case fault.Unavailable, fault.Timeout, fault.Internal: // it may be in the log nevertheless, and be run
			err = unkept{err}
		}
		return nil, err
	}
	run := &lateRun{name: runName{id, at[0].Partition, at[0].Offset}, request: &req, accepted: e.Time}
	return run, run.readWant()
}

// callbackOf is who is told what comes of a request; nil = nobody.
func callbackOf(c *Call) (*function.Callback, error) {
	b := c.Trigger.Route.Callback
	if b == nil {
		return nil, nil
	}
	url := b.URL
	if b.Header != "" {
		if url = c.Request.Header.Get(b.Header); url == "" {
			return nil, nil
		}
		if err := function.CheckCallback(url); err != nil {
			return nil, fault.New(fault.Invalid, "header %s: %w", b.Header, err).WithHint("%s", fault.HintOf(err))
		}
	}
	return &function.Callback{Function: c.Function, URL: url, Secret: b.Secret}, nil
}

// pathValues are the parameters that the route's path found in the request's.
func pathValues(r *http.Request) map[string]string {
	values := map[string]string{}
	for rest := r.Pattern; ; {
		_, after, found := strings.Cut(rest, "{")
		name, tail, closed := strings.Cut(after, "}")
		if !found || !closed {
			return values
		}
		if name = strings.TrimSuffix(name, "..."); name != "$" {
			values[name] = r.PathValue(name)
		}
		rest = tail
	}
}

// guard is what stands before the runs of a route: what stands before the route itself, so that who may ask is who could call.
func (g *Gateway) guard(t *catalog.Trigger, s *shelf) []policy {
	return g.front(t, s, []string{http.MethodGet, http.MethodDelete})
}
