package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/idempotency"
)

// Keys knows which requests were run under a key of their client's, and claims those that are to be. See idempotency.Keys.Enter.
type Keys interface {
	Enter(ctx context.Context, r idempotency.Request) (*idempotency.Entered, error)
}

// noKeys knows of no log in which a key could be remembered.
type noKeys struct{}

func (noKeys) Enter(context.Context, idempotency.Request) (*idempotency.Entered, error) {
	return nil, fault.New(fault.Unavailable, "this node remembers no idempotency keys")
}

// What becomes of a request to a route with idempotency, for metrics.
const (
	keyRun      = "run"
	keyReplayed = "replayed"
	keyBusy     = "busy"
	keyOther    = "other"
	keyGone     = "gone"
	keyInvalid  = "invalid"
)

// once runs a request that changes something once for each key, and gives its answer again. draft-ietf-httpapi-idempotency-key-header-07.
type once struct {
	g       *Gateway
	rule    *function.Idempotency
	trigger *catalog.Trigger
}

func (o *once) policy(x *exchange, c *Call, next handler) error {
	r := c.Request
	if function.SafeMethod(r.Method) {
		return next(x, c)
	}
	key, err := idempotencyKeyOf(r.Header)
	if err == nil && key == "" && o.rule.Required {
		err = fault.New(fault.Invalid, "the request has no header %s, which this route wants", function.HeaderIdempotencyKey).
			WithHint("send a random one, such as a UUID, and the same one when you send the request again")
	}
	switch {
	case err != nil:
		o.count(keyInvalid)
		return err
	case key == "":
		return next(x, c)
	}
	free, err := o.g.gather(x, c)
	defer free()
	if err != nil {
		return err
	}
	longest := o.longest()
	ctx, cancel := context.WithTimeout(r.Context(), longest.wait)
	defer cancel()
	e, err := o.g.keys.Enter(ctx, o.request(c, key, longest.bound))
	if err != nil {
		return o.refuse(x, err)
	}
	if e.Answer != nil {
		return o.again(x, e)
	}
	return o.run(ctx, x, c, e, next)
}

func (o *once) count(result string) { o.g.metrics.idempotency.WithLabelValues(result).Inc() }

// request names what is to be run once. Where the route does not ask who calls, what may tell the function so is a part of the request: an answer is
// given to nobody who shows something else.
func (o *once) request(c *Call, key string, bound time.Duration) idempotency.Request {
	r, body := c.Request, sha256.Sum256(c.Body)
	host := url.URL{Host: r.Host} // a node that has come back may have another port
	who, shown := &function.Identity{}, ""
	if c.Identity != nil {
		who = c.Identity
	} else {
		for _, name := range o.g.caller.redact().names() {
			if values := r.Header[name]; values != nil {
				shown += name + "\x00" + strings.Join(values, "\x00") + "\x00"
			}
		}
	}
	return idempotency.Request{
		Key:         idempotency.DigestOf(c.Function, o.trigger.Name, who.Type, who.ID, key),
		Fingerprint: idempotency.DigestOf(r.Method, host.Hostname(), r.URL.RequestURI(), shown, string(body[:])),
		Function:    c.Function, Route: o.trigger.Name, Bound: bound,
	}
}

// times are how long a request may take.
type times struct {
	wait  time.Duration // that a twin waits for the answer
	bound time.Duration // after which none comes any more, all attempts and a fallback included
}

func (o *once) longest() times {
	view, r, queue := o.g.catalog.View(), o.trigger.Route, o.g.caller.queue
	if r.Timeout != nil && r.Timeout.Connect != 0 {
		queue = min(queue, r.Timeout.Connect.Std())
	}
	one := longestOf(view, o.trigger.Function)
	t := times{wait: queue + one, bound: queue + one + 2*storeTimeout}
	if r.Timeout != nil && r.Timeout.Total != 0 {
		t.wait = r.Timeout.Total.Std()
	}
	if runsLater(r) {
		t.bound += storeTimeout // to look whether the log has the request of an earlier attempt
	}
	if r.Retry != nil {
		t.bound += time.Duration(r.Retry.Attempts-1) * (queue + one + maxRetryWait)
	}
	if r.Fallback != nil && r.Fallback.Function != "" {
		t.bound += o.g.caller.queue + longestOf(view, r.Fallback.Function)
	}
	return t
}

// longestOf is how long a function may take, in any version that may answer now.
func longestOf(v *catalog.View, name string) (longest time.Duration) {
	for _, number := range answeringVersions(v, name) {
		if one, err := v.VersionNumber(name, number); err == nil {
			longest = max(longest, one.Spec.Timeout.Std())
		}
	}
	return longest
}

// otherRequest is the answer to a key that was used for another request.
type otherRequest struct{ error }

func (e *otherRequest) Unwrap() error { return e.error }

// refuse says why a request is neither run nor answered.
func (o *once) refuse(x *exchange, err error) error {
	name := function.HeaderIdempotencyKey
	switch {
	case errors.Is(err, idempotency.ErrOther):
		o.count(keyOther)
		return &otherRequest{fault.New(fault.Conflict, "the key in %s was used for another request", name).
			WithHint("a key belongs to one method, host, path, query and body, and to who sent it; take a new one for a new request")}
	case errors.Is(err, idempotency.ErrBusy):
		o.count(keyBusy)
		x.Header().Set("Retry-After", retryAfter)
		return fault.New(fault.Conflict, "the request with this %s is still being run", name).WithHint("send it again later, to get its answer")
	case errors.Is(err, idempotency.ErrGone):
		return o.gone()
	}
	return err
}

// gone is the answer to a request that was run and answered, where that is not kept.
func (o *once) gone() error {
	o.count(keyGone)
	return fault.New(fault.Conflict, "the request with this %s was run, and its answer is not kept", function.HeaderIdempotencyKey).
		WithHint("look for what it has brought about; with another key it would be run again")
}

// lost is the answer to a request of which nobody can tell whether it was run: the log has dropped what would say so. Who asks again is told the same.
func (o *once) lost(k *keyed) error {
	if err := k.finish(&function.Answer{Status: http.StatusAccepted, Header: http.Header{}, Size: 1}); err != nil { // one that is not kept
		return err
	}
	o.count(keyGone)
	return fault.New(fault.Conflict, "the request with this %s may have been run, and the log does not have it any more", function.HeaderIdempotencyKey).
		WithHint("look for what it has brought about; with another key it would be run again")
}

// run gives a request to the function, and the answer to the client when it is in the log.
func (o *once) run(ctx context.Context, x *exchange, c *Call, e *idempotency.Entered, next handler) error {
	k := &keyed{g: o.g, claim: e.Claim, keep: o.rule.Keep.Std(), function: c.Function, of: answererOf(o.trigger.Route), request: c.Request}
	c.keyed, c.ID = k, e.Run
	if e.Attempt > 1 { // a node was killed meanwhile
		c.ID, c.Run, c.Attempt, c.made = event.NewID(), e.Run, e.Attempt, &atomic.Int64{}
		c.made.Store(int64(e.Attempt))
		if done, err := o.accepted(ctx, x, k, e); done || err != nil {
			if err != nil { // nothing was appended: who comes next makes this attempt
				e.Claim.Yield(e.Before)
			}
			return err
		}
	}
	o.count(keyRun)
	a := newOnceAnswer(x, k)
	defer k.leave() // where next panics, as it does where an answer is broken off
	return a.finish(next(&a.own, c))
}

// again gives what was answered before.
func (o *once) again(x *exchange, e *idempotency.Entered) error {
	a := e.Answer
	if a.Size > int64(len(a.Body)) {
		return o.gone()
	}
	o.count(keyReplayed)
	x.passHeader(a.Header)
	h := x.Header()
	h[runHeader], h[http.CanonicalHeaderKey(function.HeaderReplayed)] = []string{e.Run}, []string{"true"}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // the function did not say, and guessing makes web pages of uploads
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	}
	x.WriteHeader(a.Status)
	if len(a.Body) > 0 {
		_, _ = x.Write(a.Body) // a client that is gone cannot be told
	}
	return nil
}
