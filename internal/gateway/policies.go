package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// handler answers a request to a route, or says with an error why not; nothing has been answered then.
type handler func(x *exchange, c *Call) error

// policy is a stage on a request's way to its function: it refuses the request, answers in the function's place, or hands it on. Its state
// lives as long as the route has these settings; a policy is safe for concurrent use.
type policy func(x *exchange, c *Call, next handler) error

// policies are the stages of one route, in the order in which a request meets them: what refuses at the least cost comes first,
// behind what pages have to be told of a refusal too.
func (g *Gateway) policies(t *catalog.Trigger, s *shelf) handler {
	stages := g.front(t, s, nil)
	r := t.Route
	if r.Validate != nil {
		stages = append(stages, g.validating(t, s).policy)
	}
	if r.Idempotency != nil {
		stages = append(stages, (&once{g, r.Idempotency, t}).policy)
	}
	if r.Rewrite != nil {
		stages = append(stages, rewriting(r.Rewrite))
	}
	if r.Async != "" {
		stages = append(stages, (&later{g, r.Async}).policy)
	}
	if r.Await != nil {
		stages = append(stages, newAwaiting(g, t).policy)
	}
	if r.Cache != nil {
		kept := keep(s, t, "cache", r.Cache, func() *answers { return newAnswers(t.Function, t.Name, int64(r.Cache.MaxSize)) })
		stages = append(stages, newCache(g, t, kept).policy)
	}
	stages = append(stages, g.resilience(t, s)...)
	return chain(stages, g.answers(t, s))
}

// answers is what a request of a route meets at the end of its way: the function, or what needs none.
func (g *Gateway) answers(t *catalog.Trigger, s *shelf) handler {
	switch r := t.Route; {
	case r.Redirect != nil:
		return redirect(r.Redirect)
	case r.Static != nil:
		settings := []any{r.Static, r.Rest()}
		return keep(s, t, "static", settings, func() *static { return newStatic(t, g) }).answer
	case r.Scatter != nil:
		return keep(s, t, "scatter", r.Scatter, func() *scattering { return newScattering(g, t) }).answer
	}
	return func(x *exchange, c *Call) error { return g.serveCall(x, *c, false) }
}

// front are the stages that say who may call, and how often. Pages of other origins may use methods; nil = those of the route, for a call.
func (g *Gateway) front(t *catalog.Trigger, s *shelf, methods []string) []policy {
	var stages []policy
	r := t.Route
	limit := func() {
		stages = append(stages, keep(s, t, "limit", r.Limit, func() *rateLimit { return newRateLimit(t.Name, r.Limit) }).policy(g))
	}
	if r.CORS != nil {
		stages = append(stages, newCrossOrigin(t, methods).policy)
	}
	if r.Compress && methods == nil {
		stages = append(stages, compressed())
	}
	if r.Body != nil {
		stages = append(stages, bounded(int64(r.Body.Max)))
	}
	if r.Limit != nil && r.Limit.By != function.LimitByIdentity {
		limit()
	}
	if methods == nil {
		stages = append(stages, g.shedding(t))
	}
	var room *slots
	if r.Concurrency != nil && methods == nil { // who waits for a run keeps nobody out
		room = keep(s, t, "concurrency", r.Concurrency, func() *slots { return newSlots(t, g) })
		stages = append(stages, room.door)
	}
	if r.Auth != nil {
		stages = append(stages, keep(s, t, "auth", r.Auth, func() *authenticator { return newAuthenticator(t, g) }).policy)
	}
	if r.Limit != nil && r.Limit.By == function.LimitByIdentity {
		limit()
	}
	if room != nil { // behind those, since it waits for the body
		stages = append(stages, room.policy)
	}
	return stages
}

// chain composes stages, the first one outermost, around what comes last.
func chain(stages []policy, last handler) handler {
	if len(stages) == 0 {
		return last
	}
	next := chain(stages[1:], last)
	return func(x *exchange, c *Call) error { return stages[0](x, c, next) }
}

// shelf keeps the state of policies while routes are made anew, which each change of the installation does.
type shelf struct{ before, now map[string]any }

// newShelf makes the next shelf; old is nil for the first.
func newShelf(old *shelf) *shelf {
	s := &shelf{now: map[string]any{}}
	if old != nil {
		s.before = old.now
	}
	return s
}

// keep gives a policy of a route the state that it has or had, where its settings are what they were, else a fresh one.
func keep[T any](s *shelf, t *catalog.Trigger, name string, settings any, fresh func() T) T {
	text, err := json.Marshal(settings)
	if err != nil { // settings are what a manifest says
		panic(fmt.Sprintf("encode %T: %v", settings, err))
	}
	key := t.Function + "\x00" + t.Name + "\x00" + name + "\x00" + string(text)
	state, ok := s.now[key].(T)
	if !ok {
		state, ok = s.before[key].(T)
	}
	if !ok {
		state = fresh()
	}
	s.now[key] = state
	return state
}

// tellIdentity tells the function who calls it, in fields that nobody else can set.
func tellIdentity(h http.Header, who *function.Identity) {
	delete(h, function.HeaderAuthType)
	delete(h, function.HeaderAuthID)
	if who != nil {
		h[function.HeaderAuthType], h[function.HeaderAuthID] = []string{who.Type}, []string{who.ID}
	}
}
