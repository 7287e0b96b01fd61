package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// authenticator finds out who calls a route, as the route wants it proved.
type authenticator struct {
	g     *Gateway
	rule  *function.Auth
	realm string
	known *passwords // of Basic
	keys  *issuer    // of JWT
}

func newAuthenticator(t *catalog.Trigger, g *Gateway) *authenticator {
	a := &authenticator{g: g, rule: t.Route.Auth, realm: t.Function}
	if j := t.Route.Auth.JWT; j != nil {
		a.keys = newIssuer(j)
	}
	if b := t.Route.Auth.Basic; b != nil {
		a.known = newPasswords()
		if b.Realm != "" {
			a.realm = b.Realm
		}
	}
	return a
}

func (a *authenticator) policy(x *exchange, c *Call, next handler) error {
	var err error
	switch {
	case a.rule.Token != nil:
		c.Identity, err = a.token(x, c.Request)
	case a.rule.Basic != nil:
		c.Identity, err = a.basic(x, c.Request)
	case a.rule.JWT != nil:
		c.Identity, err = a.jwt(x, c.Request)
	default:
		var free func()
		free, err = a.g.gather(x, c)
		defer free()
		if err == nil {
			c.Identity, err = a.signature(x, c)
		}
	}
	if err != nil {
		return err
	}
	return next(x, c)
}

// refuse is the answer to who has not proved who it is. challenge goes into WWW-Authenticate: RFC 9110, section 11.6.1.
func refuse(x *exchange, challenge, format string, args ...any) *fault.Error {
	x.Header().Set("WWW-Authenticate", challenge)
	return fault.New(fault.Unauthenticated, format, args...)
}

func (a *authenticator) token(x *exchange, r *http.Request) (*function.Identity, error) {
	challenge := `Bearer realm="` + a.realm + `"`
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return nil, refuse(x, challenge, "this route wants a token").WithHint("send it as Authorization: Bearer TOKEN")
	}
	if len(values) == 1 {
		if name, ok := a.g.catalog.View().Token(tokenHash(values[0])); ok && slices.Contains(a.rule.Token.Names, name) {
			return &function.Identity{Type: function.AuthAPIKey, ID: name}, nil
		}
	}
	return nil, refuse(x, challenge+`, error="invalid_token"`, "the token is none that this route takes").WithHint("send Authorization: Bearer TOKEN with a token that was given out for it")
}

// basic takes the password out of the request: it is not the function's.
func (a *authenticator) basic(x *exchange, r *http.Request) (*function.Identity, error) {
	challenge := `Basic realm="` + a.realm + `", charset="UTF-8"`
	user, password, ok := r.BasicAuth()
	if !ok || len(r.Header["Authorization"]) != 1 {
		return nil, refuse(x, challenge, "this route wants a user's name and password").WithHint("send Authorization: Basic, as `curl --user NAME` does")
	}
	text, revision, err := a.g.secret(a.rule.Basic.Users)
	if err != nil {
		return nil, a.closed(err)
	}
	ok, err = a.known.check(r.Context(), credentials{user, password}, users{text, revision})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refuse(x, challenge, "the name or the password is wrong")
	}
	r.Header.Del("Authorization")
	return &function.Identity{Type: function.AuthUser, ID: user}, nil
}

// closed is the answer of a route whose secret cannot be opened: it stays closed, and only the node's log says why.
func (a *authenticator) closed(err error) error {
	a.g.logger.Error("secret of a route cannot be opened", "function", a.realm, "err", err)
	return fault.New(fault.Unavailable, "this route cannot check who calls it").WithHint("the node's log says why")
}

// signature checks the HMAC of a body that has been read whole. Who knows the key is the key's identity.
func (a *authenticator) signature(x *exchange, c *Call) (*function.Identity, error) {
	rule, h := a.rule.Signature, c.Request.Header
	wrong := func(format string, args ...any) (*function.Identity, error) {
		return nil, refuse(x, "Signature", format, args...).WithHint("the route wants an HMAC with %s of the body in %s", hashName(rule.Hash), rule.Header)
	}
	given := h[http.CanonicalHeaderKey(rule.Header)]
	if len(given) != 1 {
		return wrong("the request carries no signature")
	}
	encoded, ok := strings.CutPrefix(given[0], rule.Prefix)
	if !ok {
		return wrong("the signature has another form than this route takes")
	}
	key, _, err := a.g.secret(rule.Secret)
	if err != nil {
		return nil, a.closed(err)
	}
	mac := hmac.New(hashOf(rule.Hash), []byte(strings.TrimRight(string(key), "\r\n")))
	if rule.Timestamp != "" {
		at := h.Get(rule.Timestamp)
		if !fresh(at, a.g.now(), rule.Tolerance.Std()) {
			return wrong("the time in %s is not about now", rule.Timestamp)
		}
		mac.Write([]byte(at + "."))
	}
	mac.Write(c.Body)
	if !sameMAC(encoded, mac.Sum(nil)) {
		return wrong("the signature is not of this body and this route's key")
	}
	return &function.Identity{Type: function.AuthAPIKey, ID: rule.Secret}, nil
}

// fresh says whether a time in Unix seconds is at most tolerance from now.
func fresh(seconds string, now time.Time, tolerance time.Duration) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(seconds) > 12 {
		return false
	}
	if tolerance == 0 {
		tolerance = function.DefaultTolerance
	}
	return now.Sub(time.Unix(n, 0)).Abs() <= tolerance
}

// sameMAC compares in constant time; the text is hex or base64, which are of different lengths.
func sameMAC(text string, want []byte) bool {
	got, err := hex.DecodeString(text)
	if len(text) != hex.EncodedLen(len(want)) {
		got, err = base64.StdEncoding.DecodeString(text)
	}
	return err == nil && hmac.Equal(got, want)
}

func hashOf(name string) func() hash.Hash {
	if name == function.HashSHA512 {
		return sha512.New
	}
	return sha256.New
}

func hashName(name string) string {
	if name == "" {
		return function.HashSHA256
	}
	return name
}
