package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/freshness"
	"github.com/dalamb/dalamb/internal/function"
)

// cache answers requests of a route in the function's place, by the rules of package freshness.
type cache struct {
	g       *Gateway
	answers *answers
	rules   freshness.Rules
	vary    []string // as net/http spells them
	version string   // of the function now; what others have answered is stale
}

// maxFollow is how long a request waits for another one that asks for the same before it asks itself.
const maxFollow = 5 * time.Second

func newCache(g *Gateway, t *catalog.Trigger, a *answers) *cache {
	r := t.Route.Cache
	c := &cache{g: g, answers: a, rules: freshness.Rules{TTL: r.TTL.Std(), StaleWhileRevalidate: r.StaleWhileRevalidate.Std(), StaleIfError: r.StaleIfError.Std()}}
	for _, name := range r.Vary {
		c.vary = append(c.vary, http.CanonicalHeaderKey(name))
	}
	c.version = answering(g.catalog.View(), t.Function)
	return c
}

// answering names the versions of a function that may answer now, so that nothing of another is given.
func answering(v *catalog.View, name string) string {
	versions := answeringVersions(v, name)
	if versions == nil {
		return ""
	}
	return fmt.Sprint(versions)
}

// answeringVersions are these versions, by number; nil = there is no such function.
func answeringVersions(v *catalog.View, name string) []int {
	live, err := v.Alias(name, function.LiveAlias)
	if err != nil {
		return nil
	}
	versions := append(slices.Collect(maps.Keys(live.Weights)), live.Primary)
	slices.Sort(versions)
	return slices.Compact(versions)
}

// policy answers from the cache what may be, and lets others through.
func (c *cache) policy(x *exchange, call *Call, next handler) error {
	r := call.Request
	if why := past(r); why != "" {
		return c.bypass(x, call, next, why)
	}
	c.g.dropOwn(r.Header)
	o := c.outgoing(x, call)
	switch o.use(c.g.now()) {
	case mayGive:
		o.give("hit", cacheHit)
		return nil
	case mayGiveOnce:
		o.behindBack(call, next)
		o.give("hit", cacheStale)
		return nil
	case hasFailed:
		o.give("hit; detail=stale-if-error", cacheStale)
		return nil
	}
	switch {
	case o.wishes.OnlyIfCached:
		return fault.New(fault.Timeout, "no fresh answer is kept, and the request wants no other").WithHint("leave out Cache-Control: only-if-cached")
	case r.Method == http.MethodHead || r.Header["Range"] != nil: // what is asked for is not whole
		return c.bypass(x, call, next, o.why)
	}
	if !o.credentials && !o.wishes.NoStore {
		f, leads := c.answers.board(o.line, c.g.now())
		if leads {
			o.flight = f
		} else if o.follow(f) {
			return nil
		}
	}
	return o.fetch(call, next)
}

// past says why a request is none for the cache, in the words of RFC 9211, section 2.2; "" = it is one.
func past(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "method"
	// What a body says is in no key. If-Match and If-Unmodified-Since are not for caches: RFC 9111, section 4.3.2.
	case r.ContentLength != 0, upgrade(r) != "", r.Header["If-Match"] != nil, r.Header["If-Unmodified-Since"] != nil:
		return "bypass"
	}
	return ""
}

// bypass gives the function the request as it is. Its answer is not kept.
func (c *cache) bypass(x *exchange, call *Call, next handler, why string) error {
	c.g.metrics.cache.WithLabelValues(cacheBypass).Inc()
	x.cached = "fwd=" + why
	return next(x, call)
}

// outgoing is a request of a client that a cache may answer.
type outgoing struct {
	*cache
	x           *exchange
	r           *http.Request // as the client sent it, conditions and ranges included
	wishes      freshness.Wishes
	credentials bool // the function may know by fields that it alone understands who asks

	places places // of the path as the client wrote it
	shared digest // of the answer for everybody
	line   digest // of the answer for this caller; shared where nobody has shown who they are
	stored *keptAnswer

	flight *flight // that this one leads; nil = none
	behind bool    // nobody waits for the answer
	why    string  // it is not answered from the cache: RFC 9211, section 2.2

	// Of the request to the function.
	asked bool // whether what is stored is right
	start time.Time
	ticks uint64
}

func (c *cache) outgoing(x *exchange, call *Call) *outgoing {
	o := &outgoing{cache: c, x: x, r: call.Request, places: placesOf(call.Request.Host, cmp.Or(call.URL, call.Request.URL).Path), wishes: freshness.WishesOf(call.Request.Header)}
	for _, name := range credentialFields() {
		if o.r.Header[name] != nil && !slices.Contains(c.vary, name) {
			o.credentials = true
		}
	}
	o.shared = keyOf(o.r, c.vary, "")
	o.line = o.shared
	if call.Identity != nil {
		o.line = keyOf(o.r, c.vary, call.Identity.Type+"\x00"+call.Identity.ID)
	}
	o.look()
	return o
}

// look finds what is kept: everybody's, or of who has shown who they are, their own. Where the function is told who asks by fields that it alone
// understands, only an answer that says itself that it is for everybody is theirs too.
func (o *outgoing) look() {
	o.stored, o.why = nil, "uri-miss"
	personal := o.credentials || o.line != o.shared
	if k := o.answers.find(o.shared); k != nil && (k.Open || !personal) {
		o.stored = k
	} else if o.line != o.shared && !o.credentials {
		o.stored = o.answers.find(o.line)
	}
	if o.stored != nil {
		o.why = "stale"
	}
}

// use is what may be done with what is stored.
type use int

const (
	mustAsk     use = iota
	mayGive         // it is fresh
	mayGiveOnce     // it is stale, and a new one is to be fetched meanwhile
	hasFailed       // it is stale, and the function has just failed to give a new one
)

func (o *outgoing) use(now time.Time) use {
	k := o.stored
	switch {
	case k == nil:
		return mustAsk
	case k.version == o.version && k.Fresh(now):
		return mayGive
	case k.version == o.version && k.WhileRevalidating(now):
		return mayGiveOnce
	case k.IfError(now) && o.answers.failing(o.line, now):
		return hasFailed
	}
	return mustAsk
}

// follow waits for the answer that another request has asked for, and gives it: false = there is none.
func (o *outgoing) follow(f *flight) bool {
	wait := time.NewTimer(maxFollow)
	defer wait.Stop()
	select {
	case <-f.done:
	case <-wait.C:
		return false
	case <-o.r.Context().Done():
		return false
	}
	o.look()
	now := o.g.now()
	switch {
	case o.use(now) == mayGive:
		o.give("fwd="+o.why+"; collapsed", cacheCollapsed)
	case f.failed && o.insteadOfError(now):
		o.give("fwd=stale; collapsed; detail=stale-if-error", cacheStale)
	default:
		return false
	}
	return true
}

// insteadOfError says whether what is stored may be given in place of an error.
func (o *outgoing) insteadOfError(now time.Time) bool {
	return o.stored != nil && o.stored.IfError(now) && !o.behind
}

// land tells those who wait how it ended.
func (o *outgoing) land(how ending) { o.answers.land(o.line, o.flight, how, o.g.now()) }
