package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// authorize wants the node's token as `Authorization: Bearer TOKEN`. A token in the URL is not taken: URLs end up in logs.
func (g *Gateway) authorize(r *http.Request) error {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return fault.New(fault.Unauthenticated, "the request carries no token").
			WithHint("send it as Authorization: Bearer TOKEN; the token is in the file that `dalamb up` names at its start")
	}
	if len(values) != 1 || !g.showsToken(values[0]) {
		return fault.New(fault.Unauthenticated, "the token is not this node's").
			WithHint("send Authorization: Bearer TOKEN; the token is in the file that `dalamb up` names at its start")
	}
	return nil
}

// showsToken says whether a value of Authorization is the node's token. Hashes are compared, so the time that it takes tells
// nothing, not even the token's length.
func (g *Gateway) showsToken(authorization string) bool {
	scheme, token, _ := strings.Cut(authorization, " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
}

// dropToken takes the node's token out of a request to a route: with it the function could do everything. What else is in
// Authorization is the function's to judge.
func (g *Gateway) dropToken(h http.Header) {
	if h["Authorization"] = slices.DeleteFunc(h["Authorization"], g.showsToken); len(h["Authorization"]) == 0 {
		delete(h, "Authorization")
	}
}
