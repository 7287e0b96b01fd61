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
	made map[string][]*paths // of those that were asked for, one index for each host: paths of two hosts may contend
}

func (o *ownRoutes) add(t *target) {
	o.of[t.trigger.Function] = append(o.of[t.trigger.Function], t)
}

// paths are the indexes over the routes of a function, in the order of its routes; none = it has none.
func (o *ownRoutes) paths(name string) []*paths {
	o.mu.Lock()
	defer o.mu.Unlock()
	if all, ok := o.made[name]; ok {
		return all
	}
	var all []*paths
	of := map[string]*paths{}
	for _, t := range o.of[name] {
		host := t.trigger.Route.Host
		if of[host] == nil {
			of[host] = newPaths()
			all = append(all, of[host])
		}
		_ = of[host].add(anyHost(t.trigger), t) // within a host the catalog has seen to it that they do not contend
	}
	for _, p := range all {
		p.settle()
	}
	o.made[name] = all
	return all
}

// serve answers a request by the first route of a function that it fits; false = none does.
func (o *ownRoutes) serve(name string, x *exchange, r *http.Request) bool {
	for _, p := range o.paths(name) {
		if p.answers(x, r) {
			return true
		}
	}
	return false
}

// answers answers a request by the route that it fits; false = none does, and nothing was said.
func (p *paths) answers(x *exchange, r *http.Request) bool {
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
