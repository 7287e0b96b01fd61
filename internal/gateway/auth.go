package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// sender is the name of the token that a request to send events shows: function.NodeToken for the node's own.
func (g *Gateway) sender(r *http.Request) (access.Actor, error) {
	who, err := g.who(r)
	if err != nil {
		return access.Actor{}, err
	}
	return who, who.May(access.Send)
}

// who is who shows a token, as `Authorization: Bearer TOKEN`. A token in the URL is not taken: URLs end up in logs.
func (g *Gateway) who(r *http.Request) (access.Actor, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return access.Actor{}, fault.New(fault.Unauthenticated, "the request carries no token").
			WithHint("send it as Authorization: Bearer TOKEN; the token is in the file token of the data directory")
	}
	if len(values) == 1 && g.showsToken(values[0]) {
		return access.Own(), nil
	}
	if len(values) == 1 {
		if t, ok := g.catalog.View().Token(tokenHash(values[0])); ok && t.Grant.Expired(g.now()) {
			return access.Actor{}, fault.New(fault.Unauthenticated, "the token %s expired at %s", t.Name, t.Grant.Expires.UTC().Format(time.RFC3339)).
				WithHint("ask for a new one")
		} else if ok {
			return t.Actor(), nil
		}
	}
	return access.Actor{}, fault.New(fault.Unauthenticated, "the token is not this node's").
		WithHint("send Authorization: Bearer TOKEN; the token is in the file token of the data directory")
}

// showsToken says whether a value of Authorization is the node's token. Hashes are compared, so the time that it takes tells
// nothing, not even the token's length.
func (g *Gateway) showsToken(authorization string) bool {
	got := tokenHash(authorization)
	return subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
}

// tokenHash is the hash of the token in a value of Authorization; that of nothing where it is of another scheme.
func tokenHash(authorization string) [sha256.Size]byte {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256([]byte(strings.TrimSpace(token)))
}

// dropOwn takes out of a request what opens a door of dalamb's own, and what only dalamb says.
func (g *Gateway) dropOwn(h http.Header) {
	g.dropToken(h)
	dropCookies(h)
	delete(h, function.HeaderShard) // which the node alone says
}

// dropToken takes the node's token, and those that it has given out, out of a request to a route: with the first the function could do
// everything. What else is in Authorization is the function's to judge.
func (g *Gateway) dropToken(h http.Header) {
	known := func(v string) bool {
		_, ok := g.catalog.View().Token(tokenHash(v))
		return ok || g.showsToken(v)
	}
	if h["Authorization"] = slices.DeleteFunc(h["Authorization"], known); len(h["Authorization"]) == 0 {
		delete(h, "Authorization")
	}
}
