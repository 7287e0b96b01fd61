package gateway

import (
	"io"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// routes is the index over the routes of one view. It never changes.
type routes struct {
	view  *catalog.View
	mux   *paths            // of production
	named map[string]bool   // hosts that routes of production name
	envs  map[string]*paths // of the other environments, those without any route included
	own   ownRoutes         // of each function
	shelf *shelf

	caches    []*answers
	documents map[routeKey]*validating // of routes that have one
	guards    map[routeKey]guard       // of all routes, paused ones included: what was sent to them can be asked for
}

// routeKey names a route.
type routeKey struct{ function, trigger string }

// guard is what stands before the runs of a route.
type guard struct {
	trigger *catalog.Trigger
	stages  []policy
}

// routesNow returns the index over the newest view, and makes it when the view is new: a request that follows a deploy's
// answer meets the route that was deployed.
func (g *Gateway) routesNow() *routes {
	view := g.catalog.View()
	if rs := g.routes.Load(); rs != nil && rs.view == view {
		return rs
	}
	g.routing.Lock()
	defer g.routing.Unlock()
	view = g.catalog.View()
	rs := g.routes.Load()
	if rs != nil && rs.view == view {
		return rs
	}
	var before *shelf
	if rs != nil {
		before = rs.shelf
	}
	rs = newRoutes(view)
	rs.shelf = newShelf(before)
	for _, route := range view.Routes() {
		if route.Trigger.Route.Validate != nil {
			rs.documents[routeKey{route.Function, route.Trigger.Name}] = g.validating(route.Trigger, rs.shelf)
		}
		rs.guards[routeKey{route.Function, route.Trigger.Name}] = guard{route.Trigger, g.guard(route.Trigger, rs.shelf)}
		if route.Trigger.Paused {
			rs.own.add(&target{g: g, trigger: route.Trigger, serve: paused}) // else a function that calls would get past the route's policies
			continue
		}
		to := &target{g: g, trigger: route.Trigger, serve: g.policies(route.Trigger, rs.shelf)}
		rs.own.add(to)
		if err := rs.in(function.Environment(route.Function)).add(pattern(route.Trigger), to); err != nil {
			g.logger.Error("route left out", "function", route.Function, "trigger", route.Trigger.Name, "err", err)
		}
	}
	rs.mux.settle()
	for _, env := range rs.envs {
		env.settle()
	}
	rs.caches = cachesOf(rs.shelf)
	shareRoom(rs.caches, g.limits.Cache)
	rs.shelf.before = nil // what no route has any more can go
	g.routes.Store(rs)
	g.metrics.keep(rs.guards)
	return rs
}

// paused answers in the place of a route that is paused.
func paused(_ *exchange, c *Call) error {
	return fault.New(fault.NotFound, "the route is paused").WithHint("`dalamb trigger resume` lets requests in again")
}

// target is what a route leads to.
type target struct {
	g       *Gateway
	trigger *catalog.Trigger
	serve   handler
}

// ServeHTTP is called by the mux, with r's path values set.
func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange) // serveRoute gives the mux nothing else
	x.mute, x.route = false, t.trigger
	if x.asker == nil {
		x.kind = kindRoute
	}
	host, path := r.Host, r.URL.Path // which policies may rewrite
	c := &Call{Function: t.trigger.Function, Trigger: t.trigger, Request: r}
	x.asker.makes(c)
	if err := t.serve(x, c); err != nil {
		t.g.fail(x, err)
	}
	t.g.routes.Load().invalidate(host, r.Method, path, x.status)
}

// asksForRepository says whether git begins to push or to fetch, with the path that repositories have on the control listener. Its own form is text,
// of which git shows each line. // gitprotocol-http(5), "Discovering References"
func asksForRepository(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/git/") && strings.HasSuffix(r.URL.Path, "/info/refs") && strings.HasPrefix(r.URL.Query().Get("service"), "git-")
}

// serveRoute finds the route of a request by method, host and path; the more specific wins (net/http.ServeMux).
func (g *Gateway) serveRoute(x *exchange, r *http.Request) {
	if host := strings.ToLower(r.Host); host != r.Host {
		r.Host = host // host names have no case; RFC 9110, section 4.2.3
	}
	x.mute = true
	rs := g.routesNow()
	env := rs.environment(r.Host)
	if in := rs.in(env); !in.preflight(x, r) {
		in.all.ServeHTTP(x, r)
	}
	if !x.mute {
		return
	}
	x.mute = false
	switch {
	case x.status >= 300 && x.status < 400: // to the path's clean form; Location is set
		x.WriteHeader(x.status)
	case x.status == http.StatusMethodNotAllowed:
		g.methodNotAllowed(x, r, x.Header().Get("Allow"))
	case asksForRepository(r):
		x.Header().Set("Content-Type", "text/plain; charset=utf-8")
		x.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(x, "dalamb: there are no repositories at the gateway\nhint: they are below /git/ on the control listener, which has another port\n") // git may be gone
	default:
		x.Header().Del("X-Content-Type-Options")
		writeJSON(x, http.StatusNotFound, wire.ErrorOf(
			fault.New(fault.NotFound, "no route%s takes %s %s", ofEnvironment(env), r.Method, r.URL.Path).
				WithHint("`dalamb functions NAME` shows the routes of a function; any function is at %sNAME too, for who has the token", fnPrefix)))
	}
}
