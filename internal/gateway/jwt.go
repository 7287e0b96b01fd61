package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// signatures are the algorithms that a token may be signed with: public keys alone. "none", and keys that both sides share, are not
// among them. RFC 8725, section 3.1.
func signatures() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
}

// clockLeeway is how far the issuer's clock may be off.
const clockLeeway = 30 * time.Second

// maxToken bounds a token, in bytes.
const maxToken = 16 << 10

// jwt checks a JSON Web Token. What is wrong with it is told in one word for all, but for its time: who holds it can get a new one.
func (a *authenticator) jwt(x *exchange, r *http.Request) (*function.Identity, error) {
	challenge := `Bearer realm="` + a.realm + `"`
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return nil, refuse(x, challenge, "this route wants a token of %s", a.rule.JWT.Issuer).WithHint("send it as Authorization: Bearer TOKEN")
	}
	wrong := func(format string, args ...any) (*function.Identity, error) {
		return nil, refuse(x, challenge+`, error="invalid_token"`, format, args...).WithHint("get a new one from %s", a.rule.JWT.Issuer)
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || len(text) > maxToken {
		return wrong("the token is none that this route takes")
	}
	token, err := jwt.ParseSigned(strings.TrimSpace(text), signatures())
	if err != nil || len(token.Headers) != 1 {
		return wrong("the token is none that this route takes")
	}
	keys, err := a.keys.find(r.Context(), token.Headers[0].KeyID)
	if err != nil {
		return nil, a.closed(err)
	}
	var registered jwt.Claims
	var all map[string]any
	if !slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool { return token.Claims(k.Key, &registered, &all) == nil }) {
		return wrong("the token is none that this route takes")
	}
	now := a.g.now()
	if registered.Expiry == nil || registered.ValidateWithLeeway(jwt.Expected{Issuer: a.rule.JWT.Issuer, AnyAudience: jwt.Audience(a.rule.JWT.Audience), Time: now}, clockLeeway) != nil {
		if registered.Expiry != nil && registered.Expiry.Time().Before(now.Add(-clockLeeway)) {
			return wrong("the token has expired")
		}
		return wrong("the token is none that this route takes")
	}
	for name, want := range a.rule.JWT.Claims {
		if !claims(all[name], want) {
			x.Header().Set("WWW-Authenticate", challenge+`, error="insufficient_scope"`)
			return nil, fault.New(fault.Denied, "the token does not say what this route wants of %s", name)
		}
	}
	who, _ := all[a.rule.JWT.IdentityClaim()].(string)
	if who == "" {
		return wrong("the token does not say whose it is")
	}
	r.Header.Del("Authorization")
	return &function.Identity{Type: function.AuthUser, ID: who}, nil
}

// claims says whether a claim is what is wanted, or holds it: in a list, or, as OAuth 2.0 writes scopes, between spaces (RFC 8693, section 4.2).
func claims(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return v == want || slices.Contains(strings.Fields(v), want)
	case []any:
		return slices.ContainsFunc(v, func(one any) bool { s, ok := one.(string); return ok && s == want })
	case bool:
		return strconv.FormatBool(v) == want
	case float64:
		b, err := json.Marshal(v)
		return err == nil && string(b) == want
	}
	return false
}
