package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// SetTopic puts rules in the place of those that a topic has.
type SetTopic struct {
	Topic string
	Rules function.TopicRules
}

// AddToken makes a token known by its hash; RemoveToken ends it.
type (
	AddToken struct {
		Name string
		Hash [sha256.Size]byte
	}
	RemoveToken struct{ Name string }
)

// settings are what the fold holds beside functions. What is in them is replaced, never changed, so that views can share them.
type settings struct {
	Topics map[string]function.TopicRules `json:"topics,omitempty"`
	Tokens map[string]string              `json:"tokens,omitempty"` // name -> hash, in hexadecimal
	Copies []*Copy                        `json:"copies,omitempty"` // the oldest first
	Access map[string]AccessKey           `json:"access,omitempty"` // name -> key

	Secrets map[string]Value `json:"secrets,omitempty"`
	Config  map[string]Value `json:"config,omitempty"`
	Hooks   map[string]Hook  `json:"hooks,omitempty"`

	Notes map[string]json.RawMessage `json:"notes,omitempty"` // that belong to no function
}

// What is no function is known to the optimistic check under a name that no function can have.
func topicEntity(name string) string { return "topic/" + name }
func tokenEntity(name string) string { return "token/" + name }

func (c SetTopic) event(_ context.Context, s scene) (*event.Event, error) {
	entity := topicEntity(c.Topic)
	return payload{Function: entity, Expects: s.view.expects(entity), Topic: c.Topic, Rules: &c.Rules}.event(event.TypeTopicChanged)
}

func (c AddToken) event(_ context.Context, s scene) (*event.Event, error) {
	if err := s.view.nameless(c.Name); err != nil {
		return nil, err
	}
	entity := tokenEntity(c.Name)
	return payload{Function: entity, Expects: s.view.expects(entity), Token: c.Name, Hash: hex.EncodeToString(c.Hash[:])}.event(event.TypeTokenCreated)
}

func (c RemoveToken) event(_ context.Context, s scene) (*event.Event, error) {
	if !s.view.HasToken(c.Name) {
		return nil, fault.Missing("token", c.Name, append(s.view.Tokens(), s.view.accessNames()...))
	}
	entity := tokenEntity(c.Name)
	return payload{Function: entity, Expects: s.view.expects(entity), Token: c.Name}.event(event.TypeTokenRemoved)
}

// set folds an event that is about no function; ok is false for one that is.
func (s *settings) set(typ string, p payload) (ok bool) {
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
	case typ == event.TypeTokenCreated:
		s.Tokens = maps.Clone(s.Tokens)
		if s.Tokens == nil {
			s.Tokens = map[string]string{}
		}
		s.Tokens[p.Token] = p.Hash
	case typ == event.TypeAccessKeyCreated && p.Access != nil:
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

// Tokens lists the names of the tokens that can send events, beside the node's own, sorted.
func (v *View) Tokens() []string { return slices.Sorted(maps.Keys(v.settings.Tokens)) }

// Token is the name of the token with a hash.
func (v *View) Token(hash [sha256.Size]byte) (name string, ok bool) {
	// The hash of what an attacker sends tells him nothing, so the time that this takes does not either.
	want := hex.EncodeToString(hash[:])
	for name, have := range v.settings.Tokens {
		if have == want {
			return name, true
		}
	}
	return "", false
}
