package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/issuer"
)

// authenticator finds out who calls a route, as the route wants it proved.
type authenticator struct {
	g     *Gateway
	rule  *function.Auth
	whose string // the function
	realm string
	known *passwords     // of Basic
	keys  *issuer.Issuer // of JWT
	desk  *desk          // of OIDC
	door  *doorman       // of Function
}

func newAuthenticator(t *catalog.Trigger, g *Gateway) *authenticator {
	a := &authenticator{g: g, rule: t.Route.Auth, whose: t.Function, realm: t.Function}
	if j := t.Route.Auth.JWT; j != nil {
		a.keys = issuer.New(issuer.Options{Issuer: j.Issuer, Audience: j.Audience, Keys: j.Keys, Now: g.now})
	}
	if o := t.Route.Auth.OIDC; o != nil {
		a.desk = newDesk(g, o, t.Function)
	}
	if f := t.Route.Auth.Function; f != nil {
		a.door = newDoorman(g, f, t.Function, t.Name)
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
	case c.vouched:
	case a.rule.Token != nil:
		c.Identity, err = a.token(x, c.Request)
	case a.rule.Basic != nil:
		c.Identity, err = a.basic(x, c.Request)
	case a.rule.JWT != nil:
		c.Identity, err = a.jwt(x, c.Request)
	case a.rule.Certificate != nil:
		c.Identity, err = a.certificate(x, c.Request)
	case a.desk != nil:
		var answered bool
		if c.Identity, answered, err = a.desk.admit(x, c.Request); answered {
			return err
		}
	case a.door != nil:
		c.Identity, err = a.door.ask(c.Request)
	default:
		var s signed
		if s, err = a.presented(x, c.Request.Header); err != nil {
			break // the body of a stranger takes no memory
		}
		var free func()
		free, err = a.g.gather(x, c)
		defer free()
		if err == nil {
			c.Identity, err = a.signature(x, c.Body, s)
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
		if t, ok := a.g.catalog.View().Token(tokenHash(values[0])); ok && !t.Grant.Expired(a.g.now()) && slices.Contains(a.rule.Token.Names, t.Name) {
			return &function.Identity{Type: function.AuthAPIKey, ID: t.Name}, nil
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

// shut is the error of a route that cannot find out who calls. Only the node's log is told why.
type shut struct{ fault, cause error }

func (e *shut) Error() string   { return e.fault.Error() }
func (e *shut) Unwrap() []error { return []error{e.fault, e.cause} }

// closed is the answer where what is needed to check a caller cannot be had: the route stays closed.
func (a *authenticator) closed(cause error) error { return closed(a.whose, cause) }

func closed(whose string, cause error) error {
	return &shut{
		fault.New(fault.Unavailable, "this route cannot check who calls it").WithHint("the node's log says why"),
		fmt.Errorf("check who calls function %s: %w", whose, cause),
	}
}

// signed is what a request says of its signature.
type signed struct{ mac, at string }

// unsigned is the answer to a request without a signature that holds.
func (a *authenticator) unsigned(x *exchange, format string, args ...any) error {
	rule := a.rule.Signature
	return refuse(x, "Signature", format, args...).WithHint("the route wants an HMAC with %s of the body in %s", hashName(rule.Hash), rule.Header)
}

// presented takes the signature out of the header, before the body is read.
func (a *authenticator) presented(x *exchange, h http.Header) (s signed, err error) {
	rule := a.rule.Signature
	given := h[http.CanonicalHeaderKey(rule.Header)]
	if len(given) != 1 {
		return s, a.unsigned(x, "the request carries no signature")
	}
	var ok bool
	if s.mac, ok = strings.CutPrefix(given[0], rule.Prefix); !ok {
		return s, a.unsigned(x, "the signature has another form than this route takes")
	}
	if rule.Timestamp != "" {
		if s.at = h.Get(rule.Timestamp); !fresh(s.at, a.g.now(), rule.Tolerance.Std()) {
			return s, a.unsigned(x, "the time in %s is not about now", rule.Timestamp)
		}
	}
	return s, nil
}

// signature checks the HMAC of a body that has been read whole. Who knows the key is the key's identity.
func (a *authenticator) signature(x *exchange, body []byte, s signed) (*function.Identity, error) {
	rule := a.rule.Signature
	key, _, err := a.g.secret(rule.Secret)
	if err != nil {
		return nil, a.closed(err)
	}
	mac := hmac.New(hashOf(rule.Hash), []byte(strings.TrimRight(string(key), "\r\n")))
	if rule.Timestamp != "" {
		mac.Write([]byte(s.at + "."))
	}
	mac.Write(body)
	if !sameMAC(s.mac, mac.Sum(nil)) {
		return nil, a.unsigned(x, "the signature is not of this body and this route's key")
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
