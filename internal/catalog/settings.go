package catalog

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// SetTopic changes rules of a topic. It is applied to those that the topic has when it is submitted, so that nothing that was read before is set again.
type SetTopic struct {
	Topic  string
	Change *function.TopicRulesChange // nil = none
	Anew   bool                       // the topic is about to be made: what is left of rules of one of the same name goes, its seal aside
}

// DropTopic takes the rules away of a topic that is gone. Conflict where they have changed since Seen: the topic may be there again, and sealed.
type DropTopic struct {
	Topic string
	Seen  *View
}

// settings are what the fold holds beside functions. What is in them is replaced, never changed, so that views can share them.
type settings struct {
	Topics map[string]function.TopicRules `json:"topics,omitempty"`
	Tokens map[string]Token               `json:"tokens,omitempty"` // by name
	Copies []*Copy                        `json:"copies,omitempty"` // the oldest first
	Access map[string]AccessKey           `json:"access,omitempty"` // name -> key

	Secrets map[string]Value          `json:"secrets,omitempty"`
	Config  map[string]Value          `json:"config,omitempty"`
	Hooks   map[string]Hook           `json:"hooks,omitempty"`
	Alerts  map[string]Alert          `json:"alerts,omitempty"`
	Quotas  map[string]function.Quota `json:"quotas,omitempty"` // by environment, "" = production

	Notes map[string]json.RawMessage `json:"notes,omitempty"` // that belong to no function
}

// What is no function is known to the optimistic check under a name that no function can have.
func topicEntity(name string) string { return "topic/" + name }
func tokenEntity(name string) string { return "token/" + name }

// On gives the rules that a topic has in a view, and those that it has after the change. Invalid where that takes a seal off: what was read from the topic, and is
// on its way, would be stored again in the clear.
func (c SetTopic) On(v *View) (had, rules function.TopicRules, err error) {
	had = v.Rules(c.Topic)
	if c.Anew {
		rules = c.Change.Apply(function.TopicRules{})
		rules.Seal = rules.Seal || had.Seal // of two who make it at once, neither takes the other's off
	} else {
		rules = c.Change.Apply(had)
	}
	if len(rules.Writers) == 0 {
		rules.Writers = nil
	}
	if had.Seal && !rules.Seal {
		return had, rules, fault.New(fault.Invalid, "seal: topic %q is sealed, and stays so", c.Topic).
			WithHint("make one that is not, and copy it there: dalamb topic copy %s TO", c.Topic)
	}
	return had, rules, nil
}

func (c SetTopic) event(_ context.Context, s scene) (*event.Event, error) {
	_, rules, err := c.On(s.view)
	if err != nil {
		return nil, err
	}
	entity := topicEntity(c.Topic)
	return payload{Function: entity, Expects: s.view.expects(entity), Topic: c.Topic, Rules: &rules}.event(event.TypeTopicChanged)
}

func (c DropTopic) event(context.Context, scene) (*event.Event, error) {
	entity := topicEntity(c.Topic)
	return payload{Function: entity, Expects: c.Seen.expects(entity), Topic: c.Topic, Rules: &function.TopicRules{}}.event(event.TypeTopicChanged)
}

// set folds an event that is about no function; ok is false for one that is.
func (s *settings) set(typ string, p payload, at time.Time) (ok bool) {
	switch {
	case typ == event.TypeTopicChanged && p.Rules != nil:
		s.Topics = maps.Clone(s.Topics)
		if s.Topics == nil {
			s.Topics = map[string]function.TopicRules{}
		}
		s.Topics[p.Topic] = *p.Rules
		if p.Rules.None() {
			delete(s.Topics, p.Topic)
		}
	case typ == event.TypeKeyForgotten && p.Hash != "":
		// A fact, of which nothing follows here: what it is about stands in _dalamb.seals.
	case typ == event.TypeTokenCreated:
		s.admitToken(p, at)
	case (typ == event.TypeAccessKeyCreated || typ == event.TypeTenantKeyCreated) && p.Access != nil:
		s.admit(*p.Access)
	case typ == event.TypeTokenRemoved:
		s.Tokens, s.Access = maps.Clone(s.Tokens), maps.Clone(s.Access)
		delete(s.Tokens, p.Token)
		delete(s.Access, p.Token)
	default:
		return false
	}
	return true
}

// Rules are what a topic is held to.
func (v *View) Rules(topic string) function.TopicRules { return v.settings.Topics[topic] }
