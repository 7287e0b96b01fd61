package issuer

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
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

// Refused is what comes of a token that is not good. Whatever else is wrong with it is not told: who holds it learns its time alone.
type Refused struct{ Expired bool }

func (r *Refused) Error() string {
	if r.Expired {
		return "the token has expired"
	}
	return "the token is none of the issuer's"
}

// Verify is what a token claims. An error that is no *Refused says that the issuer's keys cannot be had. RFC 7519, section 7.2.
func (i *Issuer) Verify(ctx context.Context, text string) (map[string]any, error) {
	if len(text) > maxToken {
		return nil, new(Refused)
	}
	token, err := jwt.ParseSigned(strings.TrimSpace(text), signatures())
	if err != nil || len(token.Headers) != 1 {
		return nil, new(Refused)
	}
	keys, err := i.find(ctx, token.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var registered jwt.Claims
	var all map[string]any
	if !slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool { return token.Claims(k.Key, &registered, &all) == nil }) {
		return nil, new(Refused)
	}
	now := i.o.Now()
	if registered.Expiry == nil || registered.ValidateWithLeeway(jwt.Expected{Issuer: i.o.Issuer, AnyAudience: jwt.Audience(i.o.Audience), Time: now}, clockLeeway) != nil {
		return nil, &Refused{Expired: registered.Expiry != nil && registered.Expiry.Time().Before(now.Add(-clockLeeway))}
	}
	return all, nil
}
