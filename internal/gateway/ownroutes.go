package gateway

import (
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/catalog"
)

// ownRoutes are the routes of each function, whatever their hosts: who knows the function's name needs none.
type ownRoutes struct {
	of map[string][]*target

	mu   sync.Mutex
	made map[string]*paths // of those that were asked for
}

func (o *ownRoutes) add(t *target) {
	o.of[t.trigger.Function] = append(o.of[t.trigger.Function], t)
}

// paths is the index over the routes of a function; nil = it has none.
func (o *ownRoutes) paths(name string) *paths {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.made[name]; p != nil || len(o.of[name]) == 0 {
		return p
	}
	p := newPaths()
	for _, t := range o.of[name] {
		_ = p.add(anyHost(t.trigger), t) // of two that differ by their hosts alone the first one is it
	}
	p.settle()
	o.made[name] = p
	return p
}

// serve answers a request by the route of a function that it fits; false = none does.
func (o *ownRoutes) serve(name string, x *exchange, r *http.Request) bool {
	p := o.paths(name)
	if p == nil {
		return false
	}
	said := x.Header().Clone()
	x.mute = true
	p.all.ServeHTTP(x, r)
	if !x.mute {
		return true
	}
	x.mute = false
	if x.status >= 300 && x.status < 400 { // to the path's clean form; Location is set
		x.WriteHeader(x.status)
		return true
	}
	x.status = 0
	clear(x.Header())
	maps.Copy(x.Header(), said)
	return false
}

// anyHost writes a route without its host.
func anyHost(t *catalog.Trigger) string {
	r := *t.Route
	r.Host = ""
	return strings.TrimSpace(r.Method + " " + r.Path)
}
