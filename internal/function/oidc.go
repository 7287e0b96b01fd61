package function

import (
	"fmt"
	"regexp"
	"time"
)

// OIDCAuth has a person at a browser sign in with an OpenID provider. OpenID Connect Core 1.0.
type OIDCAuth struct {
	Issuer   string            `json:"issuer"`
	Client   string            `json:"client"`             // client_id at the issuer
	Secret   string            `json:"secret"`             // the secret that holds the client_secret; sessions are sealed by it too
	Scopes   []string          `json:"scopes,omitempty"`   // beside openid
	Claims   map[string]string `json:"claims,omitempty"`   // as JWTAuth has them
	Identity string            `json:"identity,omitempty"` // the claim that names who it is; "" = sub
	Session  Duration          `json:"session,omitempty"`  // 0 = DefaultSession
}

// DefaultSession is how long a sign-in holds where a manifest does not say.
const DefaultSession = 8 * time.Hour

// Lasting is how long a sign-in holds.
func (o *OIDCAuth) Lasting() time.Duration {
	if o.Session == 0 {
		return DefaultSession
	}
	return o.Session.Std()
}

// IdentityClaim is the claim that names who signed in.
func (o *OIDCAuth) IdentityClaim() string {
	if o.Identity == "" {
		return "sub"
	}
	return o.Identity
}

// validScope is RFC 6749, section 3.3.
var validScope = regexp.MustCompile(`^[!#-\[\]-~]+$`)

func oidcValue() value[OIDCAuth] {
	return object([]string{"issuer", "client", "secret"},
		field("issuer", "The OpenID provider: https://id.example. All else of it is found by OpenID Connect Discovery.", text[string](), func(o *OIDCAuth) *string { return &o.Issuer }),
		field("client", "What this service is called there (client_id); it has to know the redirect URI https://HOST/_/signin.", text[string](), func(o *OIDCAuth) *string { return &o.Client }),
		field("secret", "The secret that holds the client secret. A new one ends all sessions.", text[string](), func(o *OIDCAuth) *string { return &o.Secret }),
		field("scopes", "What is asked for beside openid: [email, profile].", list(text[string](), none[string]), func(o *OIDCAuth) *[]string { return &o.Scopes }),
		field("claims", "What claims of the ID token have to be, or to hold where they are lists: {groups: admin}.", mapOf(word()), func(o *OIDCAuth) *map[string]string { return &o.Claims }),
		field("identity", "The claim that names who signed in. Default: sub.", text[string](), func(o *OIDCAuth) *string { return &o.Identity }),
		field("session", "How long a sign-in holds, at most 720h. Default: 8h.", duration(), func(o *OIDCAuth) *Duration { return &o.Session }),
	)
}

func (c *checker) oidc(at string, o *OIDCAuth) {
	c.issuer(at+".issuer", o.Issuer)
	c.name(at+".secret", o.Secret, "secret")
	if o.Client == "" || len(o.Client) > 256 {
		c.add(at+".client", "the client_id that the issuer gave", "is required, of at most 256 characters")
	}
	for i, s := range o.Scopes {
		if !validScope.MatchString(s) || s == "openid" {
			c.add(fmt.Sprintf("%s.scopes[%d]", at, i), "such as email; openid is asked for in any case", "%q is no scope", clip(s))
		}
	}
	c.claims(at+".claims", o.Claims)
	if o.Session != 0 {
		between(c.at(at+".session"), o.Session, Duration(time.Minute), Duration(720*time.Hour))
	}
}
