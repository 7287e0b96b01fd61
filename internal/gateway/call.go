package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/tracing"
)

// Call asks for one synchronous call of a function.
type Call struct {
	ID       string        // a UUID; "" = a new one
	Run      string        // the ID of the first attempt; "" = this is it
	Attempt  int           // counts from 1; 0 = 1
	made     *atomic.Int64 // attempts of the run so far, for all copies; nil = none was copied
	trace    trace         // of all attempts; the zero one until there are copies
	Function string
	Alias    string           // "" = live
	Version  int              // 0 = by alias
	Key      string           // that stays on one version; "" = what the route's sticky names
	Trigger  *catalog.Trigger // the route that leads here; nil for a call by name
	record   function.Record  // what stays of a call that a route makes by name; "" = all

	to Backend // what answers in the function's place; nil = nothing does

	Identity *function.Identity // who calls, as the route's auth found out; nil = nobody was asked
	vouched  bool               // the node knows who it is: a function
	Chain    function.Chain     // what leads to it

	// Request is what came in, for the record; without Payload it is also what the function gets. It is the caller's to give
	// away: nobody changes it any more. Body is its whole body; where upload is set, that is what has come of it.
	Request *http.Request
	Body    []byte
	whole   bool // Body has been read, by a policy
	upload  *upload
	held    *holding
	counted bool          // by the quota of the function's environment
	wait    time.Duration // for an instance, at most; 0 = as long as the gateway lets a call wait
	keyed   *keyed        // the key that it is run under; nil = none
	URL     *url.URL      // as the client wrote it; nil = Request.URL

	Payload       []byte         // AWS Invoke: what the function gets in place of the request; nil = the request
	ClientContext string         // AWS Invoke
	Tail          *function.Tail // AWS Invoke: gets what the function prints; nil = nobody wants it

	// Responder takes the answer as it comes, where the call leaves nothing in the log before its answer. nil = it is collected.
	Responder function.Responder
	most      int64 // bytes of an answer that is collected; 0 = as much as the node takes
}

// Answer is what came of a call. ID is set once the call was made, whatever came of it.
type Answer struct {
	ID     string // of the run; a UUID of version 7
	Result *function.Result
}

// Caller is the way of a synchronous call: to the fleet, into the record, to the log where something follows from it.
// Safe for concurrent use.
type Caller struct {
	log      Log
	fleet    Fleet
	shadow   Shadow
	limits   Limits
	queue    time.Duration // for an instance, at most
	redacts  atomic.Pointer[redactor]
	recorder *recorder
	rules    func(topic string) function.TopicRules
	quotas   Quotas
	metrics  *metrics
	tracer   *tracing.Tracer
	now      func() time.Time
}

// storeTimeout bounds how long an answer waits for the log.
const storeTimeout = 30 * time.Second

// Do makes one call and blocks until its result is there and, where the route is durable or events are emitted, in the log. An
// error means that dalamb failed: the fleet's own error, or Unavailable when the log does not take what must be in it. The
// function may have run then.
func (c *Caller) Do(ctx context.Context, call Call) (Answer, error) {
	durable := call.Trigger != nil && call.Trigger.Route.Durable
	space := spaceOf(c.log)
	if durable && space == eventlog.SpaceEmpty {
		return Answer{}, fault.New(fault.Unavailable, "the log has no room for this request").WithHint("the node's disk is full; free some space")
	}
	if err := c.count(&call); err != nil {
		return Answer{}, err
	}
	start := c.now()
	id := call.ID
	if id == "" {
		id = event.NewID()
	}
	key := call.Key
	inv := &function.Invocation{ID: id, Run: cmp.Or(call.Run, id), Attempt: max(1, call.Attempt), TraceParent: call.trace.of(call.Request.Header).parent, Identity: call.Identity, Chain: call.Chain, MaxAnswer: call.most}
	if call.Trigger != nil {
		inv.Trigger = call.Trigger.Name
		key = call.Trigger.Route.Sticky.Key(call.Request)
	}
	if call.Payload != nil {
		inv.Payload, inv.ClientContext, inv.Tail = call.Payload, call.ClientContext, call.Tail
	} else {
		inv.Request = call.Request
	}
	var through *kept
	if call.Responder != nil && !durable && (call.Trigger == nil || call.Trigger.Emit == nil) {
		through = &kept{Responder: call.Responder}
		inv.Responder = through
	}
	a := Answer{ID: id}
	wait, cancel := context.WithTimeout(ctx, c.patience(&call)) // bounds the wait for an instance alone; see Fleet
	defer cancel()
	var res *function.Result
	var err error
	if call.to != nil {
		res, err = c.upstream(wait, &call, inv)
	} else {
		res, err = c.fleet.Invoke(wait, fleet.Call{Function: call.Function, Alias: call.Alias, Version: call.Version, Key: key, Invocation: inv})
	}
	if through != nil && through.begun {
		c.metrics.streams.WithLabelValues(streamEnd(res, err)).Inc()
	}
	if err != nil {
		if call.waitsForItself() && fault.KindOf(err) == fault.Exhausted {
			return a, call.waitedForItself(err)
		}
		if call.wait > 0 && call.wait <= c.queue && ctx.Err() == nil && wait.Err() != nil && fault.KindOf(err) == fault.Exhausted {
			c.metrics.timeouts.WithLabelValues(timeConnect).Inc()
			err = overdue(timeConnect, call.answerer(), call.wait, err)
		}
		return a, err
	}
	c.copied(&call, key, inv, res, through)
	var out emitted
	if call.Trigger != nil && call.Trigger.Emit != nil && res.Outcome == function.Succeeded && len(res.Events) > 0 {
		out, err = c.emitted(inv, call.Trigger, res)
		if err != nil {
			res = refused(res, err)
		}
	}
	rec := newRecord(&call, inv, res)
	if through != nil && through.begun {
		rec.answer = through.body
	}
	if space != eventlog.SpaceOK {
		rec.body, rec.answer = nil, nil
	}
	rec.keep(call.recorded())
	rec.start, rec.took, rec.names, rec.redact = start, c.now().Sub(start), out.names, c.redact()
	if !durable && len(out.records) == 0 {
		c.recorder.offer(rec)
		a.Result = res
		return a, nil
	}
	a.Result, err = c.store(ctx, effect{rec: rec, res: res, out: out, durable: durable, of: call.answerer()})
	return a, err
}

// count counts a call once, before anything costly is done for it.
func (c *Caller) count(call *Call) error {
	if call.counted {
		return nil
	}
	call.counted = true
	return c.quotas.Call(function.Environment(call.Function))
}

// recorded is what stays of the call; a function that is asked in a route's name has what the client has sent too.
func (c *Call) recorded() function.Record {
	if c.Trigger != nil {
		return c.Trigger.Route.Record
	}
	return c.record
}

// effect is what a call leaves in the log before its answer.
type effect struct {
	rec     *record
	res     *function.Result
	out     emitted
	durable bool // the record is kept although nothing is emitted
	of      answerer
}

func (e effect) records() []eventlog.Record {
	if e.rec.none {
		return e.out.records
	}
	return append(e.out.records, e.rec.encode())
}

// store appends request, result and emitted events in one atomic call. What has happened is kept also for a client that has gone.
func (c *Caller) store(ctx context.Context, e effect) (*function.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	span := e.out.span
	if span == nil {
		span = c.tracer.Send(tracing.Sending{Parent: e.rec.trace, Topic: function.TopicRequests, ID: e.rec.id, Events: 1})
	}
	_, err := c.log.Append(ctx, e.records())
	ended(span, err)
	if err == nil && len(e.out.names) > 0 {
		c.quotas.Emitted(function.Environment(e.out.names[0].Topic), len(e.out.names))
	}
	if fault.KindOf(err) == fault.NotFound && len(e.out.records) > 0 {
		// The topic to emit to is not there: a mistake of the route, which the record tells as it tells any other failure.
		e.res = refused(e.res, err)
		e.rec.result(e.res)
		e.rec.names = nil
		if !e.durable {
			c.recorder.offer(e.rec)
			return e.res, nil
		}
		_, err = c.log.Append(ctx, []eventlog.Record{e.rec.encode()})
	}
	if err == nil {
		return e.res, nil
	}
	c.metrics.refused.Inc()
	return nil, unkept{fault.New(fault.Unavailable, "the log did not take the request to %s: %w", e.rec.function, fmt.Errorf("append request %s: %w", e.rec.id, err)).
		WithHint("%s; try again only if that may happen twice", e.of.done())}
}

// unkept is why what came of a call is not in the log. The function has run.
type unkept struct{ error }

func (e unkept) Unwrap() error { return e.error }

// hasRun says whether a call that failed has been the function's.
func hasRun(err error) bool {
	_, is := errors.AsType[unkept](err)
	return is
}

// spaceOf asks the log for the room that is left, if it can tell.
func spaceOf(l Log) eventlog.Space {
	if s, ok := l.(eventlog.SpaceReporter); ok {
		return s.Space()
	}
	return eventlog.SpaceOK
}
