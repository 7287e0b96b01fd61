package gateway

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
)

// paths is the index over the routes of one environment.
type paths struct {
	all   *http.ServeMux // leads to choices
	plain *http.ServeMux // leads to the routes that take whatever request their path gets: for one that no condition fits; nil = nothing has conditions
	of    map[string]*choice
}

func newPaths() *paths { return &paths{all: http.NewServeMux(), of: map[string]*choice{}} }

// add takes a route in, in net/http.ServeMux's writing. A deploy refuses one that is malformed or conflicts; two that were deployed at the same time may still meet here, and then the
// first one by name stays.
func (p *paths) add(written string, t *target) error {
	c := p.of[written]
	if c == nil {
		c = &choice{paths: p}
		if err := handle(p.all, written, c); err != nil {
			return err
		}
		p.of[written] = c
	}
	for _, other := range c.targets {
		if t.trigger.Route.Contends(other.trigger.Route) {
			return fmt.Errorf("add route: %s meets the same requests as %s of %s", t.trigger.Route.Text(), other.trigger.Route.Text(), other.trigger.Function)
		}
	}
	c.targets = append(c.targets, t)
	return nil
}

// handle turns the panics of ServeMux, for a pattern that is malformed or conflicts, into an error.
func handle(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("add route: %v", p)
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// settle is called when all routes were added.
func (p *paths) settle() {
	for _, c := range p.of {
		c.order()
		if len(c.targets) > 1 || c.targets[0].trigger.Route.Conditional() {
			p.plain = http.NewServeMux()
		}
	}
	if p.plain == nil {
		return
	}
	for written, c := range p.of {
		if last := c.targets[len(c.targets)-1]; !last.trigger.Route.Conditional() {
			p.plain.Handle(written, last) // what all holds without conflict
		}
	}
}

// pattern writes a route as net/http.ServeMux reads it.
func pattern(t *catalog.Trigger) string {
	p := strings.ToLower(t.Route.Host) + t.Route.Path
	if t.Route.AnyHost(t.Function) {
		p = t.Route.Path
	}
	if t.Route.Method != "" {
		return t.Route.Method + " " + p
	}
	return p
}
