package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// choice is what one path leads to: a route, or several of which what else a request carries decides.
type choice struct {
	paths   *paths
	targets []*target // the narrower before the wider
	varies  []string  // names of header fields that decide
}

// order is called when all routes of the path were added.
func (c *choice) order() {
	wider := map[*target]int{} // how many it is narrower than: more for the narrower of two
	for _, t := range c.targets {
		for _, other := range c.targets {
			if t.trigger.Route.Narrower(other.trigger.Route) {
				wider[t]++
			}
		}
		for name := range t.trigger.Route.Headers {
			c.varies = append(c.varies, http.CanonicalHeaderKey(name))
		}
	}
	slices.SortStableFunc(c.targets, func(a, b *target) int { return wider[b] - wider[a] })
	slices.Sort(c.varies)
	c.varies = slices.Compact(c.varies)
}

// ServeHTTP is called by the mux, with r's path values set.
func (c *choice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange) // serveRoute gives the mux nothing else
	x.varies = append(x.varies, c.varies...)
	if t := c.find(r); t != nil {
		t.ServeHTTP(x, r)
		return
	}
	c.paths.plain.ServeHTTP(x, r)
}

// find returns the route that a request fits; nil = none.
func (c *choice) find(r *http.Request) *target {
	if !c.targets[0].trigger.Route.Conditional() {
		return c.targets[0] // nothing is narrower than this
	}
	q := r.URL.Query()
	for _, t := range c.targets {
		if t.trigger.Route.Fits(r.Header, q) {
			return t
		}
	}
	return nil
}

// asked returns the route that a browser's question about a request is meant for; nil = none. The browser says which fields the request will carry,
// not with which values.
func (p *paths) asked(meant *http.Request) *target {
	h, _ := p.all.Handler(meant)
	c, ok := h.(*choice)
	if !ok {
		return nil
	}
	told := map[string]bool{}
	for name := range strings.SplitSeq(meant.Header.Get("Access-Control-Request-Headers"), ",") {
		told[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
	}
	q := meant.URL.Query()
	for _, t := range c.targets {
		may := *t.trigger.Route
		may.Headers = maps.Clone(may.Headers)
		maps.DeleteFunc(may.Headers, func(name string, _ function.Condition) bool { return told[http.CanonicalHeaderKey(name)] })
		if may.Fits(meant.Header, q) {
			return t
		}
	}
	if p.plain == nil {
		return nil
	}
	h, _ = p.plain.Handler(meant)
	t, _ := h.(*target)
	return t
}
