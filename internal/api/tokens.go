package api

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listTokens(*http.Request, query) (any, error) {
	view := a.catalog.View()
	list := wire.TokenList{Tokens: []wire.TokenInfo{}, AccessKeys: []wire.AccessKey{}}
	for _, t := range view.Tokens() {
		list.Tokens = append(list.Tokens, a.tokenInfo(t.Actor(), t.Created))
	}
	for _, key := range view.AccessKeys() {
		list.AccessKeys = append(list.AccessKeys, wire.AccessKey{TokenInfo: a.tokenInfo(key.Actor(), key.Created), ID: key.ID})
	}
	return list, nil
}

func (a *API) tokenInfo(who access.Actor, created time.Time) wire.TokenInfo {
	return wire.TokenInfo{
		Name: who.ID, Role: string(who.Role), Functions: who.Functions, Environment: who.Environment, Created: created, Expires: who.Expires, Expired: who.Expired(a.now()),
	}
}

func (a *API) createToken(r *http.Request, _ query) (any, error) {
	var req wire.TokenCreate
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if !function.ValidTokenName(req.Name) {
		return nil, fault.New(fault.Invalid, "name: %q is no name for a token", fault.Clip(req.Name)).
			WithHint("a lower-case letter, then letters, digits and inner hyphens, at most 63 characters; %s is the node's own", function.NodeToken)
	}
	grant, err := a.grantOf(&req)
	if err != nil {
		return nil, err
	}
	if req.AWS {
		return a.createAccessKey(r.Context(), req.Name, grant)
	}
	token := "dle_" + rand.Text() + rand.Text()
	if _, err := a.catalog.Submit(r.Context(), catalog.AddToken{Name: req.Name, Hash: sha256.Sum256([]byte(token)), Grant: grant}); err != nil {
		return nil, err
	}
	return wire.Token{Name: req.Name, Token: token, Expires: grant.Expires}, nil
}

// grantOf is what a token is asked for with.
func (a *API) grantOf(req *wire.TokenCreate) (access.Grant, error) {
	g := access.Grant{Role: access.Role(req.Role), Functions: req.Functions, Environment: req.Environment, Expires: req.Expires.UTC()}
	if req.Expires.IsZero() {
		g.Expires = time.Time{}
	}
	if req.Environment != "" {
		if err := function.CheckEnvironment(req.Environment); err != nil {
			return g, err
		}
	}
	switch {
	case req.TTL < 0 || req.TTL > 0 && !req.Expires.IsZero():
		return g, fault.New(fault.Invalid, "ttl: it is for how long from now, and cannot be given with expires").WithHint("give one of them, such as 24h")
	case req.TTL > 0:
		g.Expires = a.now().UTC().Add(req.TTL.Std()).Truncate(time.Second)
	}
	if g.Role == "" {
		g.Role = access.Sender
		if req.AWS {
			g.Role = access.Admin
		}
	}
	if req.AWS && g.Role == access.Sender {
		return g, fault.New(fault.Invalid, "role: an access key is for AWS's API, where a sender can do nothing").WithHint("give another role, or none: then it may all")
	}
	return g, g.Check(a.now())
}

func (a *API) removeToken(r *http.Request, _ query) (any, error) {
	_, err := a.catalog.Submit(r.Context(), catalog.RemoveToken{Name: r.PathValue("name")})
	return nil, err
}
