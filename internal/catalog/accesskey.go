package catalog

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/secret"
)

// maxAccessKeys bounds the access keys: every node holds them all.
const maxAccessKeys = 1000

// AccessKey is what AWS's tools sign requests with. Who checks a signature needs the secret itself, and not a hash of it, so that it is kept sealed.
type AccessKey struct {
	Name    string        `json:"name"`
	ID      string        `json:"id"`
	Sealed  secret.Sealed `json:"sealed"`
	Created time.Time     `json:"created"`
	Grant   *access.Grant `json:"grant,omitempty"` // nil = as an admin's, which all keys were once
}

// Actor is who signs with the key.
func (k AccessKey) Actor() access.Actor {
	a := access.Actor{Type: access.APIKey, ID: k.Name, Grant: access.Grant{Role: access.Admin}}
	if k.Grant != nil {
		a.Grant = *k.Grant
	}
	return a
}

// AddAccessKey makes an access key known. RemoveToken ends it: tokens and access keys share their names.
type AddAccessKey struct{ Key AccessKey }

func (c AddAccessKey) event(_ context.Context, s scene) (*event.Event, error) {
	if err := s.view.nameless(c.Key.Name); err != nil {
		return nil, err
	}
	if len(s.view.settings.Access) >= maxAccessKeys {
		return nil, fault.New(fault.Exhausted, "there are %d access keys already: %q is one too many", maxAccessKeys, c.Key.Name).
			WithHint("remove those that nobody uses: dalamb token ls")
	}
	entity := tokenEntity(c.Key.Name)
	p := payload{Function: entity, Expects: s.view.expects(entity), Access: &c.Key}
	if c.Key.Actor().Environment != "" {
		// To a binary that knows no such bound it would be for all of them. What it does not know at all it passes over, and keeps the order of.
		return p.event(event.TypeTenantKeyCreated)
	}
	return p.event(event.TypeAccessKeyCreated)
}

func (s *settings) admit(key AccessKey) {
	s.Access = with(s.Access, key.Name, key)
}

// nameless refuses a name for a token or an access key that one has.
func (v *View) nameless(name string) error {
	if !v.HasToken(name) {
		return nil
	}
	return fault.New(fault.Conflict, "there is a token %q already", name).WithHint("remove it first: dalamb token remove %s", name)
}

// HasToken says whether there is a token or an access key of a name.
func (v *View) HasToken(name string) bool {
	_, token := v.settings.Tokens[name]
	_, key := v.settings.Access[name]
	return token || key
}

func (v *View) accessNames() []string { return slices.Sorted(maps.Keys(v.settings.Access)) }

// AccessKeys lists the access keys by name.
func (v *View) AccessKeys() []AccessKey { return byName(v.settings.Access) }

// AccessKey is the access key of an id.
func (v *View) AccessKey(id string) (AccessKey, bool) {
	for _, key := range v.settings.Access {
		if key.ID == id {
			return key, true
		}
	}
	return AccessKey{}, false
}
