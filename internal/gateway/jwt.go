package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/issuer"
)

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
	if !strings.EqualFold(scheme, "Bearer") {
		return wrong("the token is none that this route takes")
	}
	all, err := a.keys.Verify(r.Context(), text)
	refused, isRefused := errors.AsType[*issuer.Refused](err)
	switch {
	case isRefused && refused.Expired:
		return wrong("the token has expired")
	case isRefused:
		return wrong("the token is none that this route takes")
	case err != nil:
		return nil, a.closed(err)
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
