package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// maxTokens bounds the tokens: every node holds them all, and looks through them at each request that shows one.
const maxTokens = 1000

// Token is a token as it stands. What it is, nobody knows but who holds it.
type Token struct {
	Name    string       `json:"name"`
	Hash    string       `json:"hash"` // SHA-256, in hexadecimal
	Grant   access.Grant `json:"grant"`
	Created time.Time    `json:"created"`
}

// Actor is who shows the token.
func (t Token) Actor() access.Actor {
	return access.Actor{Type: access.APIKey, ID: t.Name, Grant: t.Grant}
}

// AddToken makes a token known by its hash; RemoveToken ends it.
type (
	AddToken struct {
		Name  string
		Hash  [sha256.Size]byte
		Grant access.Grant // without a role a sender's
	}
	RemoveToken struct{ Name string }
)

// grantPayload is what a token is given that does more than to send events for ever. Its hash is here, and not where older binaries look for it: to them
// it would be a sender's without an end.
type grantPayload struct {
	access.Grant
	Hash string `json:"hash"`
}

func (c AddToken) event(_ context.Context, s scene) (*event.Event, error) {
	if err := s.view.nameless(c.Name); err != nil {
		return nil, err
	}
	if len(s.view.settings.Tokens) >= maxTokens {
		return nil, fault.New(fault.Exhausted, "there are %d tokens already: %q is one too many", maxTokens, c.Name).
			WithHint("remove those that have expired, or that nobody uses: dalamb token ls")
	}
	c.Grant.Role = cmp.Or(c.Grant.Role, access.Sender)
	entity := tokenEntity(c.Name)
	p := payload{Function: entity, Expects: s.view.expects(entity), Token: c.Name, Hash: hex.EncodeToString(c.Hash[:])}
	switch {
	case c.Grant.Environment != "": // to a binary that knows no such bound it would be for all of them
		p.Tenant, p.Hash = &grantPayload{Grant: c.Grant, Hash: p.Hash}, ""
	case c.Grant.Role != access.Sender || !c.Grant.Expires.IsZero():
		p.Grant, p.Hash = &grantPayload{Grant: c.Grant, Hash: p.Hash}, ""
	}
	return p.event(event.TypeTokenCreated)
}

func (c RemoveToken) event(_ context.Context, s scene) (*event.Event, error) {
	if !s.view.HasToken(c.Name) {
		return nil, fault.Missing("token", c.Name, append(s.view.TokenNames(), s.view.accessNames()...))
	}
	entity := tokenEntity(c.Name)
	return payload{Function: entity, Expects: s.view.expects(entity), Token: c.Name}.event(event.TypeTokenRemoved)
}

func (s *settings) admitToken(p payload, at time.Time) {
	t := Token{Name: p.Token, Hash: p.Hash, Grant: access.Grant{Role: access.Sender}, Created: at}
	for _, given := range []*grantPayload{p.Grant, p.Tenant} {
		if given != nil {
			t.Hash, t.Grant = given.Hash, given.Grant
		}
	}
	s.Tokens = with(s.Tokens, p.Token, t)
}

// Tokens lists the tokens that were given out, by name, those that have expired among them.
func (v *View) Tokens() []Token { return byName(v.settings.Tokens) }

// TokenNames lists their names.
func (v *View) TokenNames() []string { return slices.Sorted(maps.Keys(v.settings.Tokens)) }

// Token is the token with a hash. Whether it has expired, who asks looks.
func (v *View) Token(hash [sha256.Size]byte) (found Token, ok bool) {
	want := []byte(hex.EncodeToString(hash[:]))
	for _, t := range v.settings.Tokens { // to the end: the time that it takes tells nothing
		if subtle.ConstantTimeCompare([]byte(t.Hash), want) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}
