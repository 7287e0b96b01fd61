package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// notKnown is what who shows no token, or none that is known, is told to do.
const notKnown = "send Authorization: Bearer TOKEN; dalamb token create NAME --role ROLE makes one, and the node's own is in the file token of its data directory"

// Who is who holds a token: an access.Actor, or why nobody does.
func (a *API) Who(token string) (access.Actor, error) {
	// Digests are compared, so that the time it takes tells nothing of the token, its length included.
	shown := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(shown[:], a.token[:]) == 1 {
		return access.Own(), nil
	}
	found, ok := a.catalog.View().Token(shown)
	switch {
	case !ok:
		return access.Actor{}, fault.New(fault.Unauthenticated, "the token is missing or wrong").WithHint(notKnown)
	case found.Grant.Expired(a.now()):
		return access.Actor{}, fault.New(fault.Unauthenticated, "the token %s expired at %s", found.Name, found.Grant.Expires.UTC().Format(time.RFC3339)).
			WithHint("ask for a new one: dalamb token remove %s, then dalamb token create", found.Name)
	}
	return found.Actor(), nil
}

// sender is who sends a request: who holds the token that it shows, or whom an issuer's token is of.
func (a *API) sender(r *http.Request) (access.Actor, error) {
	token := access.Bearer(r)
	who, err := a.Who(token)
	if err == nil || a.people == nil || strings.Count(token, ".") != 2 { // RFC 7519, section 3: a JWT has three parts
		return who, err
	}
	return a.people(r.Context(), token)
}

// Known is a handler for whoever shows a token; who that is, its requests' contexts say. What he may, the handler asks.
func (a *API) Known(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.sender(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		h.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	})
}

// Private is a handler beside the API's own for who may read what is of all environments.
func (a *API) Private(h http.Handler) http.Handler {
	return a.Known(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := access.From(r.Context())
		err := who.May(access.Read)
		if err == nil {
			err = who.Shared()
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

// refuse answers a request of somebody who is not known.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("WWW-Authenticate", wire.TokenChallenge)
	if isAWS(r) {
		writeAWSError(w, http.StatusUnauthorized, "UnrecognizedClientException", err)
		return
	}
	writeError(w, err)
}

// getSelf says who asks.
func getSelf(r *http.Request, _ query) (any, error) {
	who := access.From(r.Context())
	return wire.Self{Type: who.Type, ID: who.ID, Role: string(who.Role), Functions: who.Functions, Environment: who.Environment, Expires: who.Expires}, nil
}
