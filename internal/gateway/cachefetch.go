package gateway

import (
	"bytes"
	"context"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/freshness"
)

// fetch asks the function, and gives the client its answer, or what is stored where that is right or better.
func (o *outgoing) fetch(call *Call, next handler) error {
	how := endFailed
	defer func() { o.land(how) }() // also of an answer that is broken off
	o.answers.hold(o.places)
	defer o.answers.release(o.places)
	k, err := o.ask(call, next, o.stored != nil && o.stored.Validates())
	if err == nil && k.fate == fateConfirmed && !o.stored.Confirms(k.header) {
		k, err = o.ask(call, next, false) // it is about another answer: RFC 9111, section 4.3.3
	}
	switch {
	case err != nil && o.insteadOfError(o.g.now()) && failsWith(err):
		o.give("fwd=stale; detail=stale-if-error", cacheStale)
		return nil
	case err != nil:
		o.x.cached = "fwd=" + o.why
		return err
	case k.fate == fateDropped:
		o.give("fwd=stale; fwd-status="+strconv.Itoa(k.status)+"; detail=stale-if-error", cacheStale)
	case k.fate == fateConfirmed:
		how = endKept
		o.confirmed(k)
	default:
		how = endPassed
		o.g.metrics.cache.WithLabelValues(cacheMiss).Inc()
		if k.finish() {
			how = endKept
		}
	}
	return nil
}

// failsWith says whether an error is the function's or the node's, and not one of what the client has sent.
func failsWith(err error) bool {
	status := statusOf(fault.KindOf(err), err)
	return status >= 500 || status == http.StatusTooManyRequests
}

// ask gives the function the request, without what it is not to see; validate asks whether what is stored is right.
func (o *outgoing) ask(call *Call, next handler, validate bool) (*keeping, error) {
	r := o.r.WithContext(o.r.Context())
	r.Header = http.Header{}
	for name, values := range o.r.Header {
		if o.visible(name) {
			r.Header[name] = values
		}
	}
	if o.asked = validate; validate {
		o.stored.Ask(r.Header)
	}
	o.start, o.ticks = o.g.now(), o.answers.now()
	k := &keeping{o: o, header: http.Header{}}
	defer func() { o.g.held.give(k.held) }()
	inner := *call
	inner.Request = r
	k.own = exchange{ResponseWriter: k, kind: o.x.kind, start: o.x.start, slow: o.x.slow}
	err := next(&k.own, &inner)
	o.x.outcome, o.x.substitute, o.x.own = k.own.outcome, k.own.substitute, k.own.own
	return k, err
}

// visible says whether the function sees a field: those that tell answers apart, and those by which it knows who asks, whose answers are kept only
// when they say that they are for everybody. What it does not see cannot poison what others get.
func (o *outgoing) visible(name string) bool {
	switch name {
	case "Traceparent", "Tracestate":
		return true
	}
	return slices.Contains(credentialFields(), name) || slices.Contains(o.vary, name)
}

// confirmed gives what is stored, which is right, and keeps it for longer.
func (o *outgoing) confirmed(k *keeping) {
	said := http.Header{}
	copyEndToEnd(said, k.header)
	delete(said, runHeader)
	header, again := o.stored.Renew(freshness.Exchange{
		Credentials: o.credentials, NoStore: o.wishes.NoStore, Status: k.status, Header: said, Asked: o.start, Came: o.g.now(),
	}, o.rules)
	if again != nil {
		o.keep(again, o.stored.body)
	} else {
		once := *o.stored.Kept
		once.Header = header
		o.stored = &keptAnswer{Kept: &once, body: o.stored.body}
	}
	if !o.behind {
		o.give("fwd=stale; fwd-status=304", cacheRevalidated)
	}
}

// keep stores an answer: for everybody, or where it does not say that it is and somebody has shown who they are, for them.
func (o *outgoing) keep(k *freshness.Kept, body []byte) {
	key := o.line
	if k.Open {
		key = o.shared
	}
	o.stored = &keptAnswer{Kept: k, body: body, version: o.version, places: o.places, ticks: o.ticks}
	o.answers.keep(key, o.stored)
}

// give answers with what is stored.
func (o *outgoing) give(note, result string) {
	o.g.metrics.cache.WithLabelValues(result).Inc()
	k, x, now := o.stored, o.x, o.g.now()
	x.passHeader(k.Header)
	h := x.Header()
	h["Age"] = []string{k.AgeField(now)}
	tellCache(h, k.Header, note+"; ttl="+strconv.Itoa(int(k.Left(now)/time.Second)))
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // the function did not say, and guessing makes web pages of uploads
	}
	switch {
	case k.Status == http.StatusOK && freshness.NotModified(o.r.Header, k.Header):
		x.WriteHeader(http.StatusNotModified)
		return
	case k.Status == http.StatusOK && o.r.Header["Range"] != nil:
		changed, err := http.ParseTime(k.Header.Get("Last-Modified"))
		if err != nil {
			changed = time.Time{} // it does not say
		}
		http.ServeContent(x, o.r, "", changed, bytes.NewReader(k.body)) // RFC 9110, section 14
		return
	}
	if k.Status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.Itoa(len(k.body))}
	}
	x.WriteHeader(k.Status)
	if o.r.Method != http.MethodHead && len(k.body) > 0 {
		_, _ = x.Write(k.body) // a client that is gone cannot be told
	}
}

// behindBack fetches a new answer for what is given stale, unless somebody does already, or as many are being fetched as may be.
func (o *outgoing) behindBack(call *Call, next handler) {
	f, leads := o.answers.board(o.line, o.g.now())
	if !leads {
		return
	}
	quiet := *o
	quiet.x = &exchange{ResponseWriter: nowhere{http.Header{}}, kind: o.x.kind, start: o.x.start, slow: o.x.slow}
	quiet.flight, quiet.behind = f, true
	again := *call
	if !o.g.refetches.start(func(ctx context.Context) {
		quiet.r = o.r.Clone(ctx)
		quiet.r.Method = http.MethodGet // also where only the head was asked for
		again.Request = quiet.r
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { // net/http would have caught it
				o.g.logger.Error("request failed", "err", p, "stack", string(debug.Stack()))
			}
		}()
		_ = quiet.fetch(&again, next) // what is stored stays
	}) {
		o.answers.land(o.line, f, endFailed, o.g.now())
	}
}

// maxRefetches is how many answers are fetched at a time that nobody waits for.
const maxRefetches = 64

// refetches are requests that go on when the client has its answer.
type refetches struct {
	mu      sync.Mutex
	closed  bool
	last    int
	under   map[int]context.CancelFunc
	working sync.WaitGroup
}

// start makes one, unless there are too many or the end has come.
func (b *refetches) start(work func(ctx context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.under) == maxRefetches {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.last++
	id := b.last
	if b.under == nil {
		b.under = map[int]context.CancelFunc{}
	}
	b.under[id] = cancel
	b.working.Go(func() {
		defer func() {
			cancel()
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.under, id)
		}()
		work(ctx)
	})
	return true
}

// close takes no more work, and waits for what there is: a wait for an instance ends, a function that runs does so to its end.
func (b *refetches) close() {
	b.mu.Lock()
	b.closed = true
	for _, cancel := range b.under {
		cancel()
	}
	b.mu.Unlock()
	b.working.Wait()
}
