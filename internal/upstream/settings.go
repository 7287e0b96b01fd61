package upstream

import (
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// settings are what a pool is made of.
type settings struct {
	function, trigger string
	rule              *function.Upstream
	connect           time.Duration // until a server has taken a connection
	within            time.Duration // until an answer has come whole
}

// Times where neither the route nor its function says any.
const (
	defaultConnect = 5 * time.Second
	defaultWithin  = 30 * time.Second
)

// settingsOf are those of a route, whose function's time bounds an answer.
func settingsOf(view *catalog.View, t *catalog.Trigger) settings {
	s := settings{function: t.Function, trigger: t.Name, rule: t.Route.Upstream, connect: defaultConnect, within: defaultWithin}
	if r := t.Route.Timeout; r != nil && r.Connect != 0 {
		s.connect = r.Connect.Std()
	}
	if live, err := view.Alias(t.Function, function.LiveAlias); err == nil {
		if v, err := view.VersionNumber(t.Function, live.Primary); err == nil && v.Spec.Timeout != 0 {
			s.within = v.Spec.Timeout.Std()
		}
	}
	return s
}

// key is the same for the same settings; its order is that of functions and routes.
func (s *settings) key() string {
	return strings.Join([]string{s.function, s.trigger, s.connect.String(), s.within.String(), s.rule.Key()}, "\x00")
}
