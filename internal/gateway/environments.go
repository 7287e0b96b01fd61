package gateway

import (
	"net"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// newRoutes knows the hosts of a view, and no routes yet.
func newRoutes(view *catalog.View) *routes {
	rs := &routes{view: view, mux: newPaths(), named: map[string]bool{}, envs: map[string]*paths{}, guards: map[routeKey]guard{}, documents: map[routeKey]*validating{}}
	rs.own = ownRoutes{of: map[string][]*target{}, made: map[string][]*paths{}}
	for env := range view.EverDeployed() {
		rs.envs[env] = newPaths()
	}
	for _, r := range view.Routes() {
		if function.Environment(r.Function) == "" && r.Trigger.Route.Host != "" {
			rs.named[strings.ToLower(r.Trigger.Route.Host)] = true
		}
	}
	return rs
}

// environment is whose routes a request for host is for; "" = production's. An environment has all hosts that begin with its name, but for those
// that production names, and keeps them when it is removed. A request that an environment does not take is not production's then: who asks
// staging for what it lacks must not have an order placed.
func (rs *routes) environment(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	env := function.Environment(host)
	if rs.envs[env] == nil || rs.named[host] {
		return ""
	}
	return env
}

// in is the index over the routes of one environment.
func (rs *routes) in(env string) *paths {
	if mux := rs.envs[env]; mux != nil {
		return mux
	}
	return rs.mux
}

// ofEnvironment is for a sentence.
func ofEnvironment(env string) string {
	if env == "" {
		return ""
	}
	return " of environment " + env
}
