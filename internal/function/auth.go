package function

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Auth says who may call a route: exactly one of its members is set. Without an Auth everybody may.
type Auth struct {
	Token     *TokenAuth     `json:"token,omitempty"`
	Basic     *BasicAuth     `json:"basic,omitempty"`
	Signature *SignatureAuth `json:"signature,omitempty"`
	JWT       *JWTAuth       `json:"jwt,omitempty"`

	Certificate *CertificateAuth `json:"certificate,omitempty"`
	OIDC        *OIDCAuth        `json:"oidc,omitempty"`
	Function    *FunctionAuth    `json:"function,omitempty"`
}

// TokenAuth wants `Authorization: Bearer TOKEN` with one of the installation's tokens that send events.
type TokenAuth struct {
	Names []string `json:"names"`
}

// BasicAuth wants a name and a password. RFC 7617.
type BasicAuth struct {
	Users string `json:"users"`           // the secret that holds lines of NAME:BCRYPT
	Realm string `json:"realm,omitempty"` // "" = the function's name
}

// SignatureAuth wants a header with an HMAC of the body, as webhooks have it.
type SignatureAuth struct {
	Secret    string   `json:"secret"`              // the secret that holds the key
	Header    string   `json:"header"`              // which carries the signature, in hex or base64, behind Prefix
	Prefix    string   `json:"prefix,omitempty"`    // before the signature: "sha256="
	Hash      string   `json:"hash,omitempty"`      // HashSHA256 or HashSHA512; "" = the first
	Timestamp string   `json:"timestamp,omitempty"` // the header with the time in Unix seconds, which is signed before a dot and the body; "" = the body alone is signed
	Tolerance Duration `json:"tolerance,omitempty"` // how far that time may be off; 0 = 5m
}

// Values of SignatureAuth.Hash.
const (
	HashSHA256 = "sha256"
	HashSHA512 = "sha512"
)

// DefaultTolerance is how far a signed time may be off where a manifest does not say.
const DefaultTolerance = 5 * time.Minute

// Identity is who sends a request, as its route's Auth found out. The words are those of CloudEvents' extension "Auth Context".
type Identity struct {
	Type string `json:"type"` // authtype
	ID   string `json:"id"`   // authid
}

// String names who it is, for people.
func (i *Identity) String() string {
	switch i.Type {
	case AuthAPIKey:
		return "token " + i.ID
	case AuthSystem:
		return i.ID
	}
	return i.Type + " " + i.ID
}

// Values of Identity.Type.
const (
	AuthUser   = "user"
	AuthAPIKey = "api_key"
	// AuthSystem is of the node itself, in control events: node, hook/NAME, images.
	AuthSystem = "system"
	// AuthFunction is of a function that calls another one. The node knows it by its sandbox; no rule of a route gives it out.
	AuthFunction = "function"
)

// HeaderAuthType and HeaderAuthID tell a function who calls it. Nobody outside can set them.
const (
	HeaderAuthType = "Dalamb-Auth-Type"
	HeaderAuthID   = "Dalamb-Auth-Id"
)

// SecretName is the secret that dalamb itself needs to check who calls; "" = none.
func (a *Auth) SecretName() string {
	switch {
	case a == nil:
	case a.Basic != nil:
		return a.Basic.Users
	case a.Signature != nil:
		return a.Signature.Secret
	case a.OIDC != nil:
		return a.OIDC.Secret
	}
	return ""
}

// place returns an Auth whose secret, or function, has another name.
func (a *Auth) place(name func(string) string) *Auth {
	switch {
	case a == nil:
		return nil
	case a.Basic != nil:
		b := *a.Basic
		b.Users = name(b.Users)
		return &Auth{Basic: &b}
	case a.Signature != nil:
		s := *a.Signature
		s.Secret = name(s.Secret)
		return &Auth{Signature: &s}
	case a.OIDC != nil:
		o := *a.OIDC
		o.Secret = name(o.Secret)
		return &Auth{OIDC: &o}
	case a.Function != nil:
		f := *a.Function
		f.Name = name(f.Name)
		return &Auth{Function: &f}
	}
	return a
}

func authValue() value[Auth] {
	return object(nil,
		field("token", "A token in Authorization: Bearer, one of those that `dalamb token create` makes.", pointer(object([]string{"names"},
			field("names", "The names of the tokens.", list(text[string](), none[string]), func(t *TokenAuth) *[]string { return &t.Names }),
		), none[TokenAuth]), func(a *Auth) **TokenAuth { return &a.Token }),
		field("basic", "A user's name and password (RFC 7617).", pointer(object([]string{"users"},
			field("users", "The secret that holds the users: lines of NAME:HASH with a bcrypt hash, as `htpasswd -B` writes them.", text[string](), func(b *BasicAuth) *string { return &b.Users }),
			field("realm", "What a browser shows when it asks for the password. Default: the function's name.", text[string](), func(b *BasicAuth) *string { return &b.Realm }),
		), none[BasicAuth]), func(a *Auth) **BasicAuth { return &a.Basic }),
		field("signature", "An HMAC of the body in a header, as webhooks send it.", pointer(object([]string{"secret", "header"},
			field("secret", "The secret that holds the key.", text[string](), func(s *SignatureAuth) *string { return &s.Secret }),
			field("header", "The header with the signature, in hex or base64.", text[string](), func(s *SignatureAuth) *string { return &s.Header }),
			field("prefix", "What stands before the signature in the header, such as \"sha256=\". Default: nothing.", text[string](), func(s *SignatureAuth) *string { return &s.Prefix }),
			field("hash", "Default: sha256.", text(HashSHA256, HashSHA512), func(s *SignatureAuth) *string { return &s.Hash }),
			field("timestamp", "The header with the time in Unix seconds; the signature is then of that text, a dot and the body. Default: of the body alone, which can be sent again.", text[string](), func(s *SignatureAuth) *string { return &s.Timestamp }),
			field("tolerance", "How far that time may be off, at most 24h. Default: 5m.", duration(), func(s *SignatureAuth) *Duration { return &s.Tolerance }),
		), none[SignatureAuth]), func(a *Auth) **SignatureAuth { return &a.Signature }),
		field("jwt", "A JSON Web Token of an issuer, in Authorization: Bearer.", pointer(jwtValue(), none[JWTAuth]), func(a *Auth) **JWTAuth { return &a.JWT }),
		field("certificate", "A client's certificate by TLS, of an authority in the node's --tls-client-ca; see docs/tls.md.", pointer(certificateValue(), none[CertificateAuth]), func(a *Auth) **CertificateAuth { return &a.Certificate }),
		field("oidc", "People at browsers, who sign in with an OpenID provider.", pointer(oidcValue(), none[OIDCAuth]), func(a *Auth) **OIDCAuth { return &a.OIDC }),
		field("function", "A function says who may call: its name, or a mapping that says more.", pointer(functionAuthValue(), none[FunctionAuth]), func(a *Auth) **FunctionAuth { return &a.Function }),
	)
}

func (c *checker) auth(at string, a *Auth) {
	if a == nil {
		return
	}
	said := 0
	for _, is := range []bool{a.Token != nil, a.Basic != nil, a.Signature != nil, a.JWT != nil, a.Certificate != nil, a.OIDC != nil, a.Function != nil} {
		if is {
			said++
		}
	}
	if said != 1 {
		c.add(at, "write one of token, basic, signature, jwt, certificate, oidc and function; leave auth out for a route that is open to everybody", "says %d ways to prove who calls, not one", said)
		return
	}
	switch {
	case a.Token != nil:
		c.tokenAuth(at+".token.names", a.Token.Names)
	case a.Basic != nil:
		c.name(at+".basic.users", a.Basic.Users, "secret")
		if strings.ContainsFunc(a.Basic.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			c.add(at+".basic.realm", "printable ASCII without quotes and backslashes", "%q cannot stand in a header", clip(a.Basic.Realm))
		}
	case a.JWT != nil:
		c.jwt(at+".jwt", a.JWT)
	case a.Certificate != nil:
		c.certificate(at+".certificate", a.Certificate)
	case a.OIDC != nil:
		c.oidc(at+".oidc", a.OIDC)
	case a.Function != nil:
		c.functionAuth(at+".function", a.Function)
	default:
		c.signature(at+".signature", a.Signature)
	}
}

func (c *checker) tokenAuth(at string, names []string) {
	if len(names) == 0 {
		c.add(at, "a list, such as [partner]; `dalamb token ls` lists them", "names no token")
	}
	for i, name := range names {
		if !ValidTokenName(name) {
			c.add(fmt.Sprintf("%s[%d]", at, i), "one that `dalamb token ls` lists", "%q is no name for a token", clip(name))
		}
		if slices.Contains(names[:i], name) {
			c.add(fmt.Sprintf("%s[%d]", at, i), "", "%q stands there twice", clip(name))
		}
	}
}

func (c *checker) signature(at string, s *SignatureAuth) {
	c.name(at+".secret", s.Secret, "secret")
	if !validToken.MatchString(s.Header) {
		c.add(at+".header", "such as X-Signature", "%q is no name for a header", clip(s.Header))
	}
	if len(s.Prefix) > 64 || strings.ContainsFunc(s.Prefix, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.add(at+".prefix", "at most 64 printable characters, such as \"sha256=\"", "%q cannot stand before a signature", clip(s.Prefix))
	}
	if s.Hash != "" {
		oneOf(c, at+".hash", s.Hash, []string{HashSHA256, HashSHA512})
	}
	switch {
	case s.Timestamp == "" && s.Tolerance != 0:
		c.add(at+".tolerance", "name the header that carries the time: timestamp", "there is no time that it could bound")
	case s.Timestamp != "" && !validToken.MatchString(s.Timestamp):
		c.add(at+".timestamp", "such as X-Timestamp", "%q is no name for a header", clip(s.Timestamp))
	}
	if s.Tolerance != 0 {
		between(c.at(at+".tolerance"), s.Tolerance, Duration(time.Second), Duration(24*time.Hour))
	}
}
