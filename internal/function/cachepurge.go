package function

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/match"
)

// CachePurge says which events empty a route's cache.
type CachePurge struct {
	Topic  string          `json:"topic"`
	Filter json.RawMessage `json:"filter,omitempty"` // a pattern; absent = every event
	Path   string          `json:"path,omitempty"`   // of this path alone, with {subject}, {data.id} and the like; "" = all
}

// TopicCache tells every node what to empty; the key of a record is the function's name.
const TopicCache = "_dalamb.cache"

// CachePurged is the data of an event in TopicCache.
type CachePurged struct {
	Function string `json:"function"`
	Trigger  string `json:"trigger,omitempty"` // "" = all of its routes
	Path     string `json:"path,omitempty"`    // "" = all
}

const maxCachePurges = 16

func cachePurgeValue() value[CachePurge] {
	return object(nil,
		field("topic", "Default: events.", text[string](), func(p *CachePurge) *string { return &p.Topic }),
		field("filter", "An EventBridge event pattern; see docs/patterns.md. Default: every event.", pattern(), func(p *CachePurge) *json.RawMessage { return &p.Filter }),
		field("path", "Empties only what is kept of this path, whatever the query: \"/products/{subject}\". In braces stand an attribute of the event or a member of its data: {data.id}. Default: all that is kept of the route.", text[string](), func(p *CachePurge) *string { return &p.Path }),
	)
}

func defaultCachePurge() CachePurge { return CachePurge{Topic: TopicEvents} }

func (c *checker) cachePurges(at string, rules []CachePurge) {
	if len(rules) > maxCachePurges {
		c.add(at, fmt.Sprintf("at most %d", maxCachePurges), "has %d rules", len(rules))
	}
	for i, r := range rules {
		field := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case !isTopic(r.Topic):
			c.add(field+".topic", topicHint, "%q is no name for a topic", clip(r.Topic))
		case r.Topic[0] == '_':
			c.add(field+".topic", "name a topic of events", "nothing is emptied by the system topic %q", clip(r.Topic))
		}
		if r.Filter != nil {
			if _, err := match.Parse(r.Filter); err != nil {
				c.filter(field+".filter", err)
			}
		}
		if r.Path != "" && r.Path[0] != '/' {
			c.add(field+".path", `such as "/products/{subject}"`, "%q does not begin with a slash", clip(r.Path))
		}
		if strings.Count(r.Path, "{") != strings.Count(r.Path, "}") {
			c.add(field+".path", `such as "/products/{subject}"`, "%q has a brace without its other", clip(r.Path))
		}
	}
}

// place returns a Cache whose topics have other names.
func (c *Cache) place(heard func(topic string) string) *Cache {
	if c == nil || c.Purge == nil {
		return c
	}
	placed := *c
	placed.Purge = make([]CachePurge, len(c.Purge))
	for i, p := range c.Purge {
		p.Topic = heard(p.Topic)
		placed.Purge[i] = p
	}
	return &placed
}
