package purge

import (
	"encoding/json"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
)

// ruleSet are the rules of all routes of one view. It never changes.
type ruleSet struct {
	view *catalog.View
	all  []rule
}

// rule says which events of a topic empty a route's cache. A route with a cache has at least one, which has no topic.
type rule struct {
	function, trigger string
	topic             string
	pattern           *match.Pattern // nil = every event
	path              string         // "" = all
}

// rulesNow are the rules of the newest view.
func (f *Follower) rulesNow() *ruleSet {
	view := f.Catalog.View()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rules == nil || f.rules.view != view {
		f.rules = rulesOf(view)
	}
	return f.rules
}

func rulesOf(view *catalog.View) *ruleSet {
	rules := &ruleSet{view: view}
	for _, r := range view.Routes() {
		c := r.Trigger.Route.Cache
		if c == nil {
			continue
		}
		rules.all = append(rules.all, rule{function: r.Trigger.Function, trigger: r.Trigger.Name})
		for _, p := range c.Purge {
			one := rule{function: r.Trigger.Function, trigger: r.Trigger.Name, topic: p.Topic, path: p.Path}
			if p.Filter != nil {
				var err error
				if one.pattern, err = match.Parse(p.Filter); err != nil { // a newer binary's: any event may be meant
					one.path = ""
				}
			}
			rules.all = append(rules.all, one)
		}
	}
	return rules
}

// wants says whether a topic may tell of what to empty.
func (s *ruleSet) wants(topic string) bool {
	if topic == function.TopicCache {
		return true
	}
	for _, r := range s.all {
		if r.topic == topic {
			return true
		}
	}
	return false
}

// pathOf is what an event empties. Where it lacks what the path names, that is all: rather more than less.
func (r *rule) pathOf(e *event.Event) string {
	if !strings.Contains(r.path, "{") {
		return r.path
	}
	says := e.Content()
	says["id"] = e.ID
	var path strings.Builder
	for rest := r.path; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		path.WriteString(before)
		if !found {
			break
		}
		name, after, _ := strings.Cut(after, "}")
		word, ok := find(says, strings.Split(name, "."))
		if !ok {
			return ""
		}
		path.WriteString(word)
		rest = after
	}
	return path.String()
}

// find is a text or a number at a place in nested objects.
func find(in any, at []string) (string, bool) {
	for _, name := range at {
		members, ok := in.(map[string]any)
		if !ok {
			return "", false
		}
		in = members[name]
	}
	switch v := in.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}
