package function

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// RouteOf is a route and whose it is.
type RouteOf struct {
	Function string
	Trigger  string
	Route    Route
}

// Routes lists the routes of a function.
func (s *Spec) Routes() []RouteOf {
	var routes []RouteOf
	for _, t := range s.Triggers {
		if t.Route != nil {
			routes = append(routes, RouteOf{Function: s.Name, Trigger: t.Name, Route: *t.Route})
		}
	}
	return routes
}

// Pattern is the route as net/http.ServeMux writes it.
func (r *Route) Pattern() string { return strings.TrimSpace(r.Method + " " + r.Host + r.Path) }

// Conflicts says that some request meets both routes and neither is more specific. Both must be valid. Of one path what they ask for beside it
// decides; the path has to be written in the same way then.
func (r *Route) Conflicts(other *Route) bool {
	if r.Pattern() == other.Pattern() {
		return r.Contends(other)
	}
	mux := http.NewServeMux()
	return register(mux, r.Pattern()) != "" || register(mux, other.Pattern()) != ""
}

// register gives ServeMux's own words when it does not take the pattern; it panics with them.
func register(mux *http.ServeMux, pattern string) (refused string) {
	defer func() {
		if r := recover(); r != nil {
			refused = fmt.Sprint(r)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return ""
}

type routeConflict struct{ a, b RouteOf }

func (e *routeConflict) Error() string {
	return fmt.Sprintf("the route %s of function %q meets the same requests as %s of function %q",
		e.b.Route.Text(), e.b.Function, e.a.Route.Text(), e.a.Function)
}

// RouteConflict finds two routes of which neither is more specific than the other, as ServeMux sees it. The error names both
// functions; its kind is Conflict.
func RouteConflict(routes []RouteOf) error {
	mux := http.NewServeMux()
	for i, b := range routes {
		if register(mux, b.Route.Pattern()) == "" {
			continue
		}
		for _, a := range routes[:i] {
			if a.Route.Conflicts(&b.Route) {
				return fault.New(fault.Conflict, "%w", &routeConflict{a, b}).WithHint("make one of both more specific")
			}
		}
	}
	return nil
}

var validHost = regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)

// Methods are those that a route can have: of RFC 9110, PATCH, QUERY, and those of WebDAV (RFC 4918, 3253, 5323). A word that nobody sends
// would be a route that nobody reaches.
func Methods() []string {
	return []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY",
		"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
	}
}

// reservedPaths belong to the gateway and to AWS Invoke.
func reservedPaths() []string { return []string{"/_/", "/2015-03-31/"} }

func (c *checker) route(at string, r *Route) {
	before := len(c.problems)
	if r.Method != "" && !slices.Contains(Methods(), r.Method) {
		c.add(at+".method", "one of "+strings.Join(Methods(), ", ")+"; leave it out for any", "%q is no method", clip(r.Method))
	}
	if r.Host != "" && !validHost.MatchString(r.Host) {
		c.add(at+".host", "a lower-case host name without port", "%q is no host", clip(r.Host))
	}
	switch {
	case r.Path == "":
		c.add(at+".path", `such as "/orders/{id}"`, "is required")
	case r.Path[0] != '/':
		c.add(at+".path", `such as "/orders/{id}"`, "%q does not begin with a slash", clip(r.Path))
	}
	for _, p := range reservedPaths() {
		if strings.HasPrefix(r.Path+"/", p) {
			c.add(at+".path", "choose another path", "paths below %s are dalamb's own", p)
		}
	}
	c.conditions(at, r)
	c.sticky(at+".sticky", r.Sticky)
	c.cors(at+".cors", r.CORS)
	c.auth(at+".auth", r.Auth)
	c.rateLimit(at+".limit", r)
	c.routeConcurrency(at+".concurrency", r.Concurrency)
	c.priority(at+".priority", r)
	c.routeTimeout(at+".timeout", r.Timeout)
	c.routeRetry(at+".retry", r.Retry)
	c.hedge(at+".hedge", r.Hedge, r.Method)
	c.idempotency(at+".idempotency", r)
	c.breaker(at+".breaker", r.Breaker)
	c.later(at, r)
	c.callback(at+".callback", r)
	if len(c.problems) > before {
		return
	}
	if refused := register(http.NewServeMux(), r.Pattern()); refused != "" {
		if _, reason, ok := strings.Cut(refused, `": `); ok {
			refused = reason
		}
		c.add(at+".path", "", "%q is no path: %s", clip(r.Path), refused)
	}
}
